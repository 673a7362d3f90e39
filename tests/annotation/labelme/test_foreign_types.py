"""Shapes of X-AnyLabeling, which writes files like those of Labelme with more types."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotation.dataset import open_dataset
from annotation.labelme.annotation import read_annotation, write_annotation
from annotation.labelme.instances import find_instances
from annotation.rules.validate import check_dataset
from tests.cases import copy_case
from tests.drawn import draw_dataset, square

CORNERS = ((10.0, 5.0), (20.0, 10.0), (17.0, 16.0), (7.0, 11.0))


def foreign(root: Path, shape_type: str, points: tuple[tuple[float, float], ...]) -> Path:
    """A set with one photo and two shapes: a square, and one of the given type."""
    draw_dataset(root, {"a": [square("box", 1, 1, 5), square("box", 1, 8, 5)]})
    path = root / "labelme/a.json"
    value = json.loads(path.read_text())
    value["shapes"][1] |= {"shape_type": shape_type, "points": points, "direction": 0.46}
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize(
    ("shape_type", "ours"), [("rotation", "oriented_rectangle"), ("quadrilateral", "polygon")]
)
def test_shapes_of_four_corners_are_outlines_that_labelme_opens(
    tmp_path: Path, shape_type: str, ours: str
) -> None:
    path = foreign(tmp_path, shape_type, CORNERS)
    annotation = read_annotation(path)
    shape = annotation.shapes[1]
    assert (shape.shape_type, shape.points) == (ours, CORNERS)
    assert shape.extra == {"direction": 0.46}
    write_annotation(path, annotation)
    assert json.loads(path.read_text())["shapes"][1]["shape_type"] == ours


def test_a_cuboid_is_left_out_by_name_and_its_photo_kept(tmp_path: Path) -> None:
    path = foreign(tmp_path, "cuboid", CORNERS * 2)
    dataset = open_dataset(tmp_path)
    checked = check_dataset(dataset)
    (found,) = [one for one in checked.findings if one.rule == "shape-ignored"]
    assert found.message.startswith("a cuboid has no outline that can be painted")
    assert checked.annotations[0].usable
    assert [one.parts for one in find_instances(read_annotation(path).shapes, dataset.config)] == [
        (0,)
    ]


@pytest.mark.parametrize("name", ["l4_rotation", "l4c_cuboid"])
def test_the_photos_of_the_cases_are_usable(name: str, tmp_path: Path) -> None:
    (annotation,) = check_dataset(open_dataset(copy_case(name, tmp_path))).annotations
    assert annotation.usable
    assert annotation.counts == ((1,) if name == "l4_rotation" else (0,))
