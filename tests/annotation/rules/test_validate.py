from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from annotation.dataset import Dataset
from annotation.labelme.annotation import Shape, read_annotation, write_annotation
from annotation.photos.files import photo_size
from annotation.rules.validate import check_dataset
from tests.drawn import YAML, draw_dataset, draw_photo, square

CROSSED = Shape("box", ((2.0, 2.0), (12.0, 12.0), (12.0, 2.0), (2.0, 12.0)))


def found(dataset: Dataset) -> list[tuple[str, str, str, int | None]]:
    findings = check_dataset(dataset).findings
    return [(f.rule, f.severity, f.file, f.shape) for f in findings]


def test_a_clean_set_has_no_findings(tmp_path: Path) -> None:
    rectangle = Shape("box", ((40.0, 30.0), (12.0, 0.0)), "rectangle")
    assert found(draw_dataset(tmp_path, {"a": [square("box", 2, 2, 5), rectangle]})) == []


@pytest.mark.parametrize(
    ("shape", "rule", "severity"),
    [
        (square("bxo", 2, 2, 5), "label-unknown", "error"),
        (Shape("box", ((1.0, 1.0), (5.0, 5.0))), "points-few", "error"),
        (Shape("box", ((1.0, 1.0),), "rectangle"), "points-few", "error"),
        (Shape("box", ((1.0, 1.0),), "point"), "shape-ignored", "note"),
        (Shape("box", ((1.0, 1.0),), "star"), "shape-unreadable", "error"),
        (square("box", 36, 2, 9), "out-of-picture", "warning"),
        (square("box", 50, 2, 9), "outside-picture", "error"),
        (square("box", -20, 2, 9), "outside-picture", "error"),
        (CROSSED, "self-crossing", "warning"),
    ],
)
def test_shape_rules(tmp_path: Path, shape: Shape, rule: str, severity: str) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("disc", 20, 20, 5), shape]})
    assert found(dataset) == [(rule, severity, "labelme/a.json", 1)]


def test_an_unknown_label_suggests_the_nearest_one(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("dics", 2, 2, 5)]})
    (finding,) = check_dataset(dataset).findings
    assert "did you mean 'disc'" in finding.message


def test_file_and_photo_rules_all_at_once(tmp_path: Path) -> None:
    box = [square("box", 2, 2, 5)]
    dataset = draw_dataset(tmp_path, dict.fromkeys(["broken", "gone", "size", "text"], box))
    draw_photo(tmp_path, "empty", [])
    (tmp_path / "labelme/broken.json").write_text('{"shapes": [')
    (tmp_path / "images/broken.jpg").unlink()
    (tmp_path / "images/gone.jpg").unlink()
    size = tmp_path / "labelme/size.json"
    write_annotation(size, replace(read_annotation(size), width=30, height=40))
    (tmp_path / "images/text.jpg").write_text("no photo")
    cv2.imwrite(str(tmp_path / "images/undrawn.jpg"), np.zeros((5, 5, 3), np.uint8))
    assert found(dataset) == [
        ("file-not-json", "error", "labelme/broken.json", None),
        ("annotation-empty", "warning", "labelme/empty.json", None),
        ("annotation-orphan", "error", "labelme/gone.json", None),
        ("photo-size", "error", "labelme/size.json", None),
        ("photo-unreadable", "error", "labelme/text.json", None),
        ("photo-orphan", "note", "images/undrawn.jpg", None),
    ]


def test_two_files_for_one_photo(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 5)]})
    (tmp_path / "labelme/b.json").write_bytes((tmp_path / "labelme/a.json").read_bytes())
    assert found(dataset) == [("annotation-duplicate", "error", "labelme/b.json", None)]


@pytest.mark.parametrize("severity", ["error", "warning", "ignore"])
def test_only_the_first_annotation_of_a_photo_is_usable(tmp_path: Path, severity: str) -> None:
    yaml = YAML.replace("severity: {", f"severity: {{annotation-duplicate: {severity}, ")
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 5)]}, yaml=yaml)
    (tmp_path / "labelme/b.json").write_bytes((tmp_path / "labelme/a.json").read_bytes())
    assert [one.usable for one in check_dataset(dataset).annotations] == [True, False]
    photo = tmp_path / "images/a.jpg"
    photo.write_bytes(photo.read_bytes()[:-200])
    decoded = check_dataset(dataset, pixels="decode")
    assert [one.usable for one in decoded.annotations] == [False, False]


@pytest.mark.parametrize("image_path", ["../../secret.jpg", "/etc/passwd", "..\\..\\secret.jpg"])
def test_paths_outside_the_set_are_not_followed(tmp_path: Path, image_path: str) -> None:
    cv2.imwrite(str(tmp_path / "secret.jpg"), np.zeros((30, 40, 3), np.uint8))
    dataset = draw_dataset(tmp_path / "set", {"a": [square("box", 2, 2, 5)]})
    path = dataset.labelme / "a.json"
    write_annotation(path, replace(read_annotation(path), image_path=image_path))
    assert found(dataset) == [("photo-path-leaves", "warning", "labelme/a.json", None)]
    (finding,) = check_dataset(dataset).findings
    assert "leads out of the set; a.jpg was found by its stem and is used" in finding.message
    (tmp_path / "set/images/a.jpg").unlink()
    assert found(dataset) == [("annotation-orphan", "error", "labelme/a.json", None)]


@pytest.mark.parametrize(
    ("image_path", "rules"),
    [
        ("..\\images\\a.jpg", []),
        ("../images/A.JPG", []),
        ("a.jpg", ["photo-path"]),
        ("old/place/a.jpg", ["photo-path"]),
        ("C:\\old\\a.jpg", ["photo-path-leaves"]),
        ("../images/other.jpg", ["photo-path"]),
    ],
)
def test_the_photo_is_found_again(tmp_path: Path, image_path: str, rules: list[str]) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 5)]})
    path = tmp_path / "labelme/a.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "imagePath": image_path}))
    assert [rule for rule, *_ in found(dataset)] == rules


def test_the_size_is_that_of_the_rotated_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a photo in portrait format
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=exif)
    assert photo_size(tmp_path / "a.jpg") == (40, 30)
