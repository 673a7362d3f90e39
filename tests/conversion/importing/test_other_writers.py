"""Annotations in the ways of other programs: crowds, angles, ids and encodings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotation.dataset import open_dataset
from conversion.importing.importer import import_coco
from conversion.importing.options import ImportOptions
from tests.conversion.importing.coco_files import (
    PANOPTIC,
    TRIANGLE,
    coco,
    image,
    instance,
    notes,
    panoptic,
    photo,
    problem,
    rle,
    segment,
    shapes_of,
)

MASK = rle(["....", ".##.", ".##."], compressed=True)
COCO_CROWD = 900100448263  # the form of the ids of COCO's own crowds


# --- crowds ---


@pytest.mark.parametrize(
    ("annotations", "info", "crowds"),
    [
        ([instance(1, MASK, iscrowd=1), instance(2, [TRIANGLE])], {}, 0),
        ([instance(1, MASK, iscrowd=1), instance(2, MASK)], {}, 1),
        ([instance(1, MASK, iscrowd=1), instance(2, [TRIANGLE], iscrowd=1)], {}, 2),
        ([instance(COCO_CROWD, MASK, iscrowd=1), instance(2, [TRIANGLE])], {}, 1),
        ([instance(1, MASK, iscrowd=1), instance(2, [TRIANGLE])], {"iscrowd": "crowd"}, 1),
    ],
    ids=["only masks", "one mask of two", "a polygon too", "of COCO itself", "declared"],
)
def test_crowds_are_masks_if_all_masks_and_nothing_else_are_crowds(
    tmp_path: Path, annotations: list[dict[str, Any]], info: dict[str, str], crowds: int
) -> None:
    source = coco(tmp_path / "s", *annotations, info=info)
    done = import_coco(source, tmp_path / "set")
    assert sum("crowd" in shape.flags for shape in shapes_of(tmp_path / "set")) == crowds
    assert len(notes(done, "--crowds keep")) == (crowds == 0)


# --- boxes with an angle ---


@pytest.mark.parametrize(
    "more",
    [
        {"bbox": [10, 10, 20, 4], "attributes": {"rotation": 90.0}},  # CVAT
        {"bbox": [20, 12, 20, 4, -90], "bbox_mode": 4},  # detectron2
    ],
)
def test_boxes_are_rotated_as_their_program_means_it(tmp_path: Path, more: dict[str, Any]) -> None:
    done = import_coco(coco(tmp_path / "s", instance(1, [], **more)), tmp_path / "set")
    (shape,) = shapes_of(tmp_path / "set")
    assert shape.shape_type == "polygon"
    assert sorted(shape.points) == [(18, 2), (18, 22), (22, 2), (22, 22)]
    assert len(notes(done, "boxes rotated by the angle")) == 1
    assert "rotation" not in json.dumps(shape.extra)


def test_a_small_angle_turns_clockwise(tmp_path: Path) -> None:
    more = {"bbox": [10, 10, 20, 4], "attributes": {"rotation": 10}}
    import_coco(coco(tmp_path / "s", instance(1, [], **more)), tmp_path / "set")
    left, right, *_ = shapes_of(tmp_path / "set")[0].points
    assert right[1] > left[1]  # y points down


def test_an_angle_of_unknown_meaning_is_said(tmp_path: Path) -> None:
    source = coco(tmp_path / "s", instance(1, [], bbox=[1, 1, 5, 5], theta=0.3))
    done = import_coco(source, tmp_path / "set")
    assert shapes_of(tmp_path / "set")[0].points == ((1.0, 1.0), (6.0, 6.0))
    assert len(notes(done, "an angle that is not applied")) == 1


def test_corners_of_detectron2_are_not_sizes(tmp_path: Path) -> None:
    source = coco(tmp_path / "s", instance(1, [], bbox=[1, 2, 5, 9], bbox_mode=0))
    import_coco(source, tmp_path / "set")
    assert shapes_of(tmp_path / "set")[0].points == ((1.0, 2.0), (5.0, 9.0))


def test_boxes_of_five_numbers_are_refused_because_they_are_ambiguous(tmp_path: Path) -> None:
    source = coco(tmp_path / "s", instance(1, [], bbox=[20, 12, 20, 4, 0.5]))
    assert "different ways: give their corners as segmentation" in problem(source, tmp_path / "set")


# --- values and encodings ---


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_of_unicode_are_read(tmp_path: Path, encoding: str) -> None:
    categories = [{"id": 1, "name": "Stra\u00dfe"}]
    source = coco(tmp_path / "s", instance(1, [TRIANGLE]), categories=categories)
    value = json.loads(source.read_text())
    source.write_bytes(json.dumps(value, ensure_ascii=False).encode(encoding))
    import_coco(source, tmp_path / "set")
    assert open_dataset(tmp_path / "set").config.things == ("Stra\u00dfe",)


def test_a_code_page_is_refused_by_that_reason(tmp_path: Path) -> None:
    source = coco(tmp_path / "s", categories=[{"id": 1, "name": "Stra\u00dfe"}])
    value = json.loads(source.read_text())
    source.write_bytes(json.dumps(value, ensure_ascii=False).encode("cp1252"))
    assert problem(source, tmp_path / "set").endswith("found another encoding; save it as UTF-8")


def test_nan_in_a_string_is_text(tmp_path: Path) -> None:
    source = coco(
        tmp_path / "s",
        instance(1, [TRIANGLE], area=float("nan"), note='"NaN, -Infinity'),
        instance(2, [TRIANGLE], bbox=[float("inf"), 1, 2, float("-inf")]),
    )
    done = import_coco(source, tmp_path / "set")
    assert shapes_of(tmp_path / "set")[0].extra["coco"]["note"] == '"NaN, -Infinity'
    assert len(notes(done, "NaN or infinite values, which JSON does not have: 3;")) == 1


def test_whole_numbers_may_be_written_as_floats(tmp_path: Path) -> None:
    source = coco(
        tmp_path / "s",
        instance(1.0, [TRIANGLE], image_id=1.0, category_id=1.0, iscrowd=0.0),  # type: ignore[arg-type]
        instance(2, [TRIANGLE], iscrowd=None),
        images=[{**image(1, "a.jpg"), "id": 1.0, "width": 40.0}],
    )
    import_coco(source, tmp_path / "set")
    assert [shape.label for shape in shapes_of(tmp_path / "set")] == ["box", "box"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"image_id": "1"},
            "image_id: expected an id like those of images, which are numbers; found '1', which is"
            " text; write",
        ),
        (
            {"category_id": "1"},
            "category_id: expected an id like those of categories, which are numbers; found '1'",
        ),
    ],
)
def test_ids_of_another_type_are_one_problem(
    tmp_path: Path, more: dict[str, str], message: str
) -> None:
    annotations = [instance(number, [TRIANGLE], **more) for number in range(5)]
    text = problem(coco(tmp_path / "s", *annotations), tmp_path / "set")
    assert message in text
    assert len(text.splitlines()) == 1


def test_a_category_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    annotations = [instance(number, [TRIANGLE]) for number in range(5)]
    source = coco(tmp_path / "s", *annotations, categories=[{"id": 1, "name": 7}])
    assert len(problem(source, tmp_path / "set").splitlines()) == 1


# --- panoptic ---


def test_two_images_cannot_share_a_png(tmp_path: Path) -> None:
    source = panoptic(tmp_path / "s", np.full((30, 40), 2), [segment(2, 5)], PANOPTIC[:3])
    value = json.loads(source.read_text())
    photo(tmp_path / "s/val/b.jpg")
    value["images"].append(image(2, "b.jpg"))
    value["annotations"].append({**value["annotations"][0], "image_id": 2})
    source.write_text(json.dumps(value))
    assert "a.png is also the PNG of" in problem(source, tmp_path / "set")


def test_the_case_of_a_panoptic_png_does_not_matter(tmp_path: Path) -> None:
    source = panoptic(tmp_path / "s", np.full((30, 40), 2), [segment(2, 5)], PANOPTIC[:3])
    png = tmp_path / "s/annotations/panoptic_val/a.png"
    png.rename(png.with_name("A.PNG"))
    import_coco(source, tmp_path / "set")
    assert len(shapes_of(tmp_path / "set")) == 1


def test_categories_without_isthing_are_divided_by_a_person(tmp_path: Path) -> None:
    categories = [{"id": 5, "name": "box"}, {"id": 6, "name": "road", "isthing": 1}]
    source = panoptic(tmp_path / "s", np.full((30, 40), 2), [segment(2, 5)], categories)
    assert "name the things with --things" in problem(source, tmp_path / "set")
    import_coco(source, tmp_path / "set", ImportOptions(things=("box",)))
    config = open_dataset(tmp_path / "set").config
    assert (config.things, config.stuff) == (("box",), ("road",))
