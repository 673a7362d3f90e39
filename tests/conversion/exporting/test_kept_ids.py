"""A set that is imported and exported again has the ids of its source."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from annotation.dataset import open_dataset
from annotation.labelme.annotation import read_annotation, write_annotation
from conversion.exporting.instances import export_instances
from conversion.importing.importer import import_coco
from tests.conversion.importing.coco_files import TRIANGLE, coco, image, instance, photo, rle
from tests.drawn import draw_dataset, square

OTHER = [20, 5, 30, 5, 30, 15.5]


def exported(root: Path) -> dict[str, list[dict[str, object]]]:
    export_instances(open_dataset(root), root / "out.json")
    value: dict[str, list[dict[str, object]]] = json.loads((root / "out.json").read_text())
    return value


def ids(entries: list[dict[str, object]]) -> list[object]:
    return [entry["id"] for entry in entries]


def test_images_annotations_and_categories_keep_their_ids(tmp_path: Path) -> None:
    photo(tmp_path / "s/b.jpg", grey=9)
    source = coco(
        tmp_path / "s",
        instance(70, [TRIANGLE], image_id=9, category_id=3),
        instance(12, [TRIANGLE, OTHER], image_id=9, category_id=3),
        instance(11, rle(["##", "##"], compressed=True), image_id=4, category_id=8),
        images=[image(9, "a.jpg"), image(4, "b.jpg")],
        categories=[{"id": 3, "name": "box"}, {"id": 8, "name": "disc"}],
    )
    import_coco(source, tmp_path / "set")
    value = exported(tmp_path / "set")
    assert {one["file_name"]: one["id"] for one in value["images"]} == {"a.jpg": 9, "b.jpg": 4}
    assert sorted(map(str, ids(value["annotations"]))) == ["11", "12", "70"]
    assert {one["name"]: one["id"] for one in value["categories"]} == {"box": 3, "disc": 8}
    by_id = {one["id"]: (one["image_id"], one["category_id"]) for one in value["annotations"]}
    assert by_id == {70: (9, 3), 12: (9, 3), 11: (4, 8)}


def test_new_and_copied_shapes_get_new_ids(tmp_path: Path) -> None:
    import_coco(coco(tmp_path / "s", instance(5, [TRIANGLE])), tmp_path / "set")
    path = tmp_path / "set/labelme/a.json"
    drawn = read_annotation(path)
    shapes = (*drawn.shapes, *drawn.shapes, square("box", 20, 20, 5))
    write_annotation(path, replace(drawn, shapes=shapes))
    assert ids(exported(tmp_path / "set")["annotations"]) == [5, 6, 7]


def test_a_set_that_was_not_imported_is_numbered_from_1(tmp_path: Path) -> None:
    draw_dataset(tmp_path, {"a": [square("box", 1, 1, 5)], "b": [square("box", 1, 1, 5)]})
    value = exported(tmp_path)
    assert (ids(value["images"]), ids(value["annotations"])) == ([1, 2], [1, 2])


@pytest.mark.parametrize("crowd", [0, 1])
def test_crowds_of_an_export_are_crowds_when_it_is_imported(tmp_path: Path, crowd: int) -> None:
    mask = rle(["##", "##"], compressed=True)
    source = coco(
        tmp_path / "s",
        instance(1, mask, iscrowd=crowd),
        instance(2, [TRIANGLE]),
        info={"iscrowd": "crowd"},
    )
    import_coco(source, tmp_path / "set")
    value = exported(tmp_path / "set")
    assert sorted(one["iscrowd"] == 1 for one in value["annotations"]) == [False, crowd == 1]
    import_coco(tmp_path / "set/out.json", tmp_path / "again")
    shapes = read_annotation(tmp_path / "again/labelme/a.json").shapes
    assert sum("crowd" in shape.flags for shape in shapes) == crowd
