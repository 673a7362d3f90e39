"""One check for all commands, which use each other's findings."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from annotation.dataset import Dataset, open_dataset
from annotation.labelme.annotation import read_annotation, write_annotation
from annotation.rules.checked import Pixels
from base.errors import InputError
from base.parsing import read_json
from commands.annotation import validate
from conversion.building.build import convert
from conversion.building.check import check
from tests.annotation.rules.mixed import noise, read_files, settle
from tests.drawn import YAML, draw_dataset, draw_photo, square

BOX, TYPO, DISC = (square(label, 2, 2, 5) for label in ("box", "bxo", "disc"))


def draw(root: Path, *, yaml: str = YAML) -> Dataset:
    """Photos a to d: photo b is incomplete, c has an error, and d has a warning."""
    photos = {"a": [BOX], "b": [BOX], "c": [TYPO], "d": [BOX, BOX]}
    dataset = draw_dataset(root, photos, yaml=yaml)
    for number, name in enumerate(photos):
        (dataset.images / f"{name}.jpg").write_bytes(noise(number))
    (dataset.images / "b.jpg").write_bytes(noise(1)[: len(noise(1)) // 2])
    settle(dataset)
    return dataset


def left_out(dataset: Dataset) -> dict[str, str]:
    return dict(convert(dataset).left_out)


def test_convert_leaves_out_photos_that_validate_found_incomplete(tmp_path: Path) -> None:
    dataset = draw(tmp_path)
    assert left_out(dataset).keys() == {"labelme/c.json"}  # photos are not decoded
    check(dataset, pixels="decode")
    found = left_out(dataset)
    assert found.keys() == {"labelme/b.json", "labelme/c.json"}
    assert found["labelme/b.json"].startswith("b.jpg: only part of its pixels can be decoded")
    (dataset.images / "b.jpg").write_bytes(noise(1))
    assert left_out(dataset).keys() == {"labelme/c.json"}


def test_the_severity_of_incomplete_photos_is_that_of_the_set(tmp_path: Path) -> None:
    yaml = YAML.replace("severity: {", "severity: {photo-truncated: warning, ")
    dataset = draw(tmp_path, yaml=yaml)
    check(dataset, pixels="decode")
    assert left_out(dataset).keys() == {"labelme/c.json"}


def test_an_annotation_with_a_copy_of_another_photo_is_left_out_if_that_is_an_error(
    tmp_path: Path,
) -> None:
    yaml = YAML.replace("severity: {", "severity: {photo-embedded: error, ")
    dataset = draw(tmp_path, yaml=yaml)
    path = dataset.labelme / "a.json"
    black = cv2.imencode(".jpg", np.zeros((30, 40, 3), np.uint8))[1].tobytes()
    data = base64.b64encode(black).decode()
    write_annotation(path, replace(read_annotation(path), image_data=data))
    assert "labelme/a.json" not in left_out(dataset)
    check(dataset, pixels="decode")
    assert "imageData" in left_out(dataset)["labelme/a.json"]


def test_without_decoding_validate_reports_what_it_found_before(tmp_path: Path) -> None:
    dataset = draw(tmp_path)
    decoded = check(dataset, pixels="decode")
    assert ("photo-truncated", "labelme/b.json") in {(f.rule, f.file) for f in decoded.findings}
    with pytest.raises(SystemExit):
        validate(dataset.root, json=tmp_path / "findings.json", pixels=False)
    reported = read_json(tmp_path / "findings.json")["findings"]
    assert reported == json.loads(msgspec.json.encode(decoded.findings))


@pytest.mark.parametrize("severity", ["error", "warning", "ignore"])
def test_convert_and_validate_use_the_same_annotations(tmp_path: Path, severity: str) -> None:
    yaml = YAML.replace("severity: {", f"severity: {{annotation-duplicate: {severity}, ")
    dataset = draw(tmp_path, yaml=yaml)
    for name in "ab":  # photo b is incomplete
        shutil.copy(dataset.labelme / f"{name}.json", dataset.labelme / f"{name}2.json")
    checked = check(dataset, pixels="decode")
    unusable = {dataset.relative(one.path) for one in checked.annotations if not one.usable}
    assert unusable == {f"labelme/{name}.json" for name in ("a2", "b", "b2", "c")}
    assert left_out(dataset).keys() == unusable


def test_the_split_counts_the_first_annotation_of_a_photo(tmp_path: Path) -> None:
    yaml = YAML.replace("severity: {", "severity: {annotation-duplicate: ignore, ")
    dataset = draw_dataset(tmp_path, {"a": [BOX], "b": [BOX]}, yaml=yaml)
    draw_photo(tmp_path, "c", [DISC])  # a second annotation of photo a, with another thing
    path = dataset.labelme / "c.json"
    write_annotation(path, replace(read_annotation(path), image_path="../images/a.jpg"))
    (dataset.images / "c.jpg").unlink()
    assert "category-one-split" not in {f.rule for f in check(dataset).findings}


@pytest.mark.parametrize("pixels", ["decode", "known"])
def test_after_validate_no_command_reads_an_unchanged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: Pixels
) -> None:
    dataset = draw(tmp_path)
    first = check(dataset, pixels=pixels)
    names = read_files(monkeypatch)
    assert check(dataset).findings == first.findings  # as curate, review and annotate do
    convert(dataset)
    convert(dataset)
    assert check(dataset).findings == first.findings
    assert names == []
    draw_photo(tmp_path, "a", [BOX, TYPO])
    convert(dataset)
    assert names == ["a.json"]
    found = check(dataset).findings
    assert ("label-unknown", "labelme/a.json") in {(f.rule, f.file) for f in found}
    assert names == ["a.json", "a.json"]  # convert looked for errors only


def test_convert_does_not_read_files_again_that_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = draw(tmp_path)
    first = left_out(dataset)
    names = read_files(monkeypatch)
    assert left_out(dataset) == first
    assert names == []


def test_wrong_lists_are_an_error_in_every_check(tmp_path: Path) -> None:
    dataset = draw(tmp_path, yaml=YAML.replace("seed: 0", "seed: 0, lists: {test: gone.txt}"))
    with pytest.raises(InputError, match=r"gone\.txt: cannot be read"):
        check(open_dataset(dataset.root))
