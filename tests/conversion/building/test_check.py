"""One check for all commands, which use each other's findings."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation.dataset import Dataset, open_dataset
from annotation.labelme.annotation import read_annotation, write_annotation
from annotation.rules.checked import Pixels
from base.errors import InputError
from conversion.building.build import convert
from conversion.building.check import check
from tests.annotation.rules.mixed import noise, read_files, settle
from tests.drawn import YAML, draw_dataset, draw_photo, square

BOX, TYPO = square("box", 2, 2, 5), square("bxo", 2, 2, 5)


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


@pytest.mark.parametrize("pixels", ["decode", "skip"])
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
