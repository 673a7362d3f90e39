from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from annotation.labelme.annotation import (
    Annotation,
    Shape,
    UnreadableShape,
    read_annotation,
    write_annotation,
)
from annotation.labelme.geometry import outline
from base.errors import InputError
from tests.drawn import draw_photo, square

# Labelme's own reader, in a separate process so that the tests do not load its Qt
REAL_READER = """
import json, sys
from labelme._label_file import LabelFile
print(json.dumps(LabelFile(sys.argv[1]).shapes))
"""
FULL = {
    "version": "5.5.0",
    "flags": {"exclude": False},
    "shapes": [
        {
            "label": "box",
            "points": [[1.5, 2], [10, 2], [10, 9.25]],
            "group_id": 3,
            "description": "near",
            "shape_type": "polygon",
            "flags": {"occluded": True},
            "mask": None,
            "someone": "else",
        }
    ],
    "imagePath": "..\\images\\a.jpg",
    "imageData": None,
    "imageHeight": 30,
    "imageWidth": 40,
    "lineColor": [0, 255, 0, 128],
}


def test_read_write_read(tmp_path: Path) -> None:
    path, again = tmp_path / "a.json", tmp_path / "b.json"
    path.write_text(json.dumps(FULL))
    annotation = read_annotation(path)
    write_annotation(again, annotation)
    assert json.loads(again.read_text()) == FULL
    assert read_annotation(again) == annotation
    assert annotation.shapes[0].extra == {"someone": "else"}


def test_missing_optional_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"imagePath": "a.jpg", "shapes": [{"label": "x", "points": [[0, 0]]}]}')
    annotation = read_annotation(path)
    assert (annotation.height, annotation.width, annotation.flags) == (None, None, {})
    assert annotation.shapes == (Shape("x", ((0.0, 0.0),)),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shapes": None}, "shapes"),
        ({"imagePath": 3}, "imagePath"),
    ],
)
def test_errors_name_the_file_and_the_key(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**FULL, **change}))
    with pytest.raises(InputError, match=f"a.json.*{message}"):
        read_annotation(path)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"label": "x"}, "points"),
        ({"label": "x", "points": [[1, "b"]]}, "points[0][1]"),
        ({"label": "x", "points": [[1]]}, "points[0]"),
        ({"label": "x", "points": [[1, 2]], "group_id": "3"}, "group_id"),
        (["x"], "expected a mapping, found a list"),
    ],
)
def test_an_unreadable_shape_keeps_its_place_and_is_written_back_unchanged(
    tmp_path: Path, raw: object, message: str
) -> None:
    path, again = tmp_path / "a.json", tmp_path / "b.json"
    path.write_text(json.dumps({**FULL, "shapes": [raw, *FULL["shapes"]]}))
    annotation = read_annotation(path)
    wrong, right = annotation.shapes
    assert isinstance(wrong, UnreadableShape)
    assert message in wrong.reason
    assert right.label == "box"
    write_annotation(again, annotation)
    assert json.loads(again.read_text()) == json.loads(path.read_text())


def test_real_labelme_reads_what_we_write(tmp_path: Path) -> None:
    path = draw_photo(tmp_path, "a", [square("box", 2, 3, 10, group_id=1)])
    command = [sys.executable, "-c", REAL_READER, str(path)]
    read = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert (read[0]["label"], read[0]["group_id"]) == ("box", 1)
    assert np.allclose(read[0]["points"], [[2, 3], [12, 3], [12, 13], [2, 13]])


def test_outlines() -> None:
    rectangle = Shape("a", ((10.0, 9.0), (2.0, 3.0)), "rectangle")  # drawn from the lower right
    assert outline(rectangle).tolist() == [[2, 3], [10, 3], [10, 9], [2, 9]]
    circle = outline(Shape("a", ((5.0, 5.0), (8.0, 9.0)), "circle"))
    assert np.allclose(np.hypot(*(circle - 5).T), 5)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (Shape("a", ((0.0, 0.0), (1.0, 1.0))), "polygon needs at least 3 points, found 2"),
        (Shape("a", ((0.0, 0.0),), "rectangle"), "rectangle needs 2 points, found 1"),
        (Shape("a", ((0.0, 0.0),) * 3, "circle"), "circle needs 2 points, found 3"),
        (Shape("a", ((0.0, 0.0),), "point"), "a point has no outline"),
        (Shape("a", ((0.0, 0.0),), "star"), "shape type 'star' is unknown"),
        (Shape("a", ((0.0, float("nan")),) * 3), "finite"),
    ],
)
def test_shapes_without_outline(shape: Shape, message: str) -> None:
    with pytest.raises(InputError, match=message):
        outline(shape)


def test_keys_are_written_in_the_order_of_labelme(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_annotation(path, Annotation("a.jpg", 3, 4, ()))
    assert list(json.loads(path.read_text())) == [
        *("version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth")
    ]
