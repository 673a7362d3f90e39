"""A repeated check reads only files that have changed, and survives a damaged cache."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from annotation.dataset import open_dataset
from annotation.rules.cache import open_cache
from annotation.rules.validate import check_dataset
from tests.annotation.rules.mixed import (
    BOX,
    DISC,
    PHOTOS,
    TYPO,
    draw_mixed,
    noise,
    read_files,
)
from tests.drawn import YAML, draw_dataset, draw_photo


def test_only_changed_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = draw_mixed(tmp_path)
    check_dataset(dataset)
    names = read_files(monkeypatch)
    check_dataset(dataset)
    assert names == []
    draw_photo(tmp_path, "a", [TYPO])
    (dataset.images / "c.jpg").write_bytes(noise(40))
    check_dataset(dataset)
    assert names == ["a.json", "c.json"]
    (dataset.root / "dataset.yaml").write_text(YAML.replace("few: 0", "few: 1"))
    check_dataset(open_dataset(tmp_path))
    assert len(names) == 2 + len(PHOTOS)


def test_a_new_photo_rechecks_files_whose_image_path_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = draw_mixed(tmp_path)
    check_dataset(dataset)
    names = read_files(monkeypatch)
    (dataset.images / "zzz.jpg").write_bytes(noise(50))
    check_dataset(dataset)
    assert sorted(names) == ["broken.json", "elsewhere.json", "gone.json"]


def test_photos_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = draw_mixed(tmp_path)
    first = check_dataset(dataset, pixels="decode")

    def fail(*_: object) -> None:
        raise AssertionError("a photo is decoded again")

    monkeypatch.setattr("annotation.rules.cached.inspect_photo", fail)
    assert check_dataset(dataset, pixels="decode") == first
    (dataset.images / "a.jpg").write_bytes(noise(60))
    with pytest.raises(AssertionError):
        check_dataset(dataset, pixels="decode")


def garbage(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def foreign(path: Path) -> None:
    for part in path.parent.glob("findings.sqlite*"):
        part.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE annotations (other TEXT)")


def damaged(path: Path) -> None:
    """Overwrite all pages but the first, as a failing disk does."""
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


@pytest.mark.parametrize("harm", [garbage, foreign, damaged, Path.unlink])
def test_a_damaged_cache_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], object]
) -> None:
    dataset = draw_mixed(tmp_path)
    first = check_dataset(dataset, pixels="decode")
    harm(tmp_path / ".cache/findings.sqlite")
    names = read_files(monkeypatch)
    assert check_dataset(dataset, pixels="decode") == first
    assert len(names) == len(PHOTOS)
    assert check_dataset(dataset, pixels="decode") == first
    assert len(names) == len(PHOTOS)


def test_a_set_that_cannot_be_written_is_checked_without_a_cache(tmp_path: Path) -> None:
    dataset = draw_mixed(tmp_path)
    (tmp_path / ".cache").write_text("in the way")
    first = check_dataset(dataset, pixels="decode")
    assert check_dataset(dataset, pixels="decode") == first
    assert (tmp_path / ".cache").read_text() == "in the way"


def test_two_checks_at_the_same_time(tmp_path: Path) -> None:
    dataset = draw_mixed(tmp_path)
    first = check_dataset(dataset)
    with open_cache(dataset) as cache:
        cache.digest(dataset.images / "a.jpg")
        draw_photo(tmp_path, "new", [BOX])
        assert check_dataset(dataset).findings == first.findings


def test_a_moved_set_keeps_its_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = check_dataset(draw_mixed(tmp_path / "old")).findings
    shutil.move(tmp_path / "old", tmp_path / "new")
    names = read_files(monkeypatch)
    assert check_dataset(open_dataset(tmp_path / "new")).findings == first
    assert names == []


def test_a_pipe_in_place_of_a_file_is_not_read(tmp_path: Path) -> None:
    dataset = draw_mixed(tmp_path)
    for path in (dataset.labelme / "pipe.json", dataset.images / "pipe.jpg"):
        os.mkfifo(path)
    for _ in range(2):
        found = check_dataset(dataset, pixels="decode").findings
        rules = {f.file: f.rule for f in found if "pipe" in f.file}
        assert rules == {
            "labelme/pipe.json": "file-unreadable",
            "images/pipe.jpg": "photo-unreadable",
        }


def test_findings_in_json_have_the_other_shapes_and_the_place(tmp_path: Path) -> None:
    bow_tie = replace(BOX, points=((2.0, 2.0), (12.0, 12.0), (12.0, 2.0), (2.0, 12.0)))
    dataset = draw_dataset(tmp_path, {"a": [DISC, DISC, bow_tie]})
    found = json.loads(msgspec.json.encode(check_dataset(dataset).findings))
    by_rule = {one["rule"]: (one["shape"], one["others"], one["place"]) for one in found}
    assert by_rule == {
        "shape-duplicate": (1, [0], None),
        "self-crossing": (2, [], [7.0, 7.0]),
    }
