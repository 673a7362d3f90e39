"""Pipes and patterns that would stop a conversion for ever are one line instead."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from annotation.dataset import open_dataset
from annotation.intake.collect import collect
from base.errors import InputError
from conversion.building import groups
from conversion.building.build import convert
from conversion.importing.importer import import_coco
from tests.conversion.building.builds import draw, tree
from tests.conversion.importing.coco_files import TRIANGLE, coco, instance
from tests.drawn import YAML
from tests.full_disk import largest_file

_connect = sqlite3.connect


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("group_by: pipe.csv", "pipe.csv: cannot be read: is not a regular file"),
        ("lists: {train: pipe.csv}", "pipe.csv: cannot be read as a list"),
    ],
)
def test_pipes_that_the_configuration_names(tmp_path: Path, key: str, message: str) -> None:
    draw(tmp_path, 2, YAML.replace("seed: 0", f"seed: 0, {key}"))
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match=message):
        convert(open_dataset(tmp_path))


def test_decisions_that_cannot_be_read_are_not_ignored(tmp_path: Path) -> None:
    dataset, path = draw(tmp_path, 2), tmp_path / "curation.yaml"
    os.mkfifo(path)
    with pytest.raises(InputError, match=r"curation\.yaml: cannot be read: is not a regular file"):
        convert(dataset)
    path.unlink()
    path.symlink_to("/missing/on this machine")
    with pytest.raises(InputError, match=r"curation\.yaml: cannot be read: No such file"):
        convert(dataset)


def test_pipes_among_photos_maps_and_annotations(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 3)
    (tmp_path / "stuff/p000.png").unlink()
    os.mkfifo(tmp_path / "stuff/p000.png")
    for name in ("images/pipe.jpg", "labelme/pipe.json", "labelme/p001.json"):
        (tmp_path / name).unlink(missing_ok=True)
        os.mkfifo(tmp_path / name)
    built = convert(dataset)  # a pipe is no label map
    assert dict(built.left_out).keys() == {"labelme/p001.json", "labelme/pipe.json"}
    assert sum(built.photos.values()) == 2


def test_pipes_in_sources(tmp_path: Path) -> None:
    source = coco(tmp_path / "coco", instance(1, [TRIANGLE]))
    for name in ("pipe.json", "pipe.jpg"):
        os.mkfifo(source.parent / name)
    collected = collect([source.parent], tmp_path / "collected")
    assert [origin.image for origin in collected.added] == ["a.jpg"]
    os.mkfifo(tmp_path / "collected/images/pipe.jpg")
    collect([source.parent], tmp_path / "collected")
    with pytest.raises(InputError, match=r"pipe.json: .*is not a regular file"):
        import_coco(source.parent / "pipe.json", tmp_path / "new")
    import_coco(source, tmp_path / "imported")


def test_a_pattern_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "a" * 60
    draw(tmp_path, 2, YAML.replace("seed: 0", "seed: 0, group_pattern: '^((a|aa)+)$'"))
    for folder, end in (("images", "jpg"), ("labelme", "json")):
        path = tmp_path / folder / f"p000.{end}"
        text = path.read_bytes().replace(b"p000.jpg", f"{name}.jpg".encode())
        (tmp_path / folder / f"{name}.{end}").write_bytes(text)
    monkeypatch.setattr(groups, "_MOST_SECONDS", 0.1)
    with pytest.raises(InputError, match=r"split.group_pattern: expected a pattern that is found"):
        convert(open_dataset(tmp_path))


def test_a_full_disk_while_pngs_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last complete state stays, and the same command completes when there is space."""
    dataset = draw(tmp_path, 4)
    convert(dataset)
    whole = tree(dataset)
    for path in dataset.panoptic.glob("panoptic_*/*.png"):
        path.unlink()
    smallest = min(len(data) for name, data in whole.items() if name.endswith(".png"))
    with monkeypatch.context() as patched:
        # SQLite's files are larger than any PNG
        patched.setattr("base.database.sqlite3.connect", lambda *_, **__: _connect(":memory:"))
        full = r"[\d,]+ bytes needed, [\d,]+ bytes free"
        with largest_file(smallest - 1), pytest.raises(OSError, match=full) as error:
            convert(dataset)
    assert Path(error.value.filename).suffix == ".png"
    convert(dataset)
    assert tree(dataset) == whole
