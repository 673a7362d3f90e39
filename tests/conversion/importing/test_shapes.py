"""Annotations become shapes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from annotation.dataset import open_dataset
from annotation.labelme.annotation import read_annotation
from annotation.labelme.geometry import mask_pixels
from annotation.rules.validate import check_dataset
from conversion.importing.importer import import_coco
from conversion.importing.options import ImportOptions
from tests.conversion.importing.coco_files import (
    CATEGORY,
    TRIANGLE,
    coco,
    image,
    instance,
    rle,
    shapes_of,
)


def test_polygons_are_unchanged_and_those_of_one_annotation_share_a_group(
    tmp_path: Path,
) -> None:
    other = [20, 5, 30, 5, 30, 15.5]
    import_coco(
        coco(
            tmp_path / "s",
            instance(7, [TRIANGLE]),
            instance(8, [TRIANGLE, other]),
            instance(9, [other, TRIANGLE]),
        ),
        tmp_path / "set",
    )
    shapes = shapes_of(tmp_path / "set")
    first = ((2.5, 3.25), (12.0, 3.25), (7.125, 11.0))
    second = ((20.0, 5.0), (30.0, 5.0), (30.0, 15.5))
    assert [s.points for s in shapes] == [first, first, second, second, first]
    assert [s.group_id for s in shapes] == [None, 1, 1, 2, 2]
    assert {s.shape_type for s in shapes} == {"polygon"}
    assert [s.extra["coco"]["id"] for s in shapes] == [7, 8, 8, 9, 9]


@pytest.mark.parametrize("compressed", [False, True])
def test_an_rle_becomes_a_mask_cropped_to_its_box_as_labelme_writes_it(
    tmp_path: Path, compressed: bool
) -> None:
    drawn = ["......", "..##..", ".#..#.", "..##.."]
    source = coco(tmp_path / "s", instance(1, rle(drawn, compressed=compressed), iscrowd=1))
    import_coco(source, tmp_path / "set", ImportOptions(crowds="keep"))
    (shape,) = shapes_of(tmp_path / "set")
    assert shape.points == ((1.0, 1.0), (4.0, 3.0))  # first and last pixel: a box of 4x3
    mask, corner = mask_pixels(shape)
    assert corner == (1, 1)
    assert ["".join(".#"[p] for p in row) for row in mask.astype(int)] == [".##.", "#..#", ".##."]
    assert shape.flags == {"crowd": True}


def test_labelme_itself_reads_the_same_pixels(tmp_path: Path) -> None:
    labelme_utils = pytest.importorskip("labelme.utils")
    drawn = ["......", "..##..", ".#..#.", "..##.."]
    import_coco(coco(tmp_path / "s", instance(1, rle(drawn, compressed=True))), tmp_path / "set")
    (shape,) = json.loads((tmp_path / "set/labelme/a.json").read_text())["shapes"]
    shape["mask"] = labelme_utils.img_b64_to_arr(shape["mask"]).astype(bool)
    pixels, _ = labelme_utils.shapes_to_label((30, 40), [shape], {"box": 1})
    want = coco_mask.decode(rle(drawn, compressed=True))
    assert np.array_equal(pixels, want)


def test_a_bare_box_becomes_a_rectangle(tmp_path: Path) -> None:
    bare = instance(2, None, bbox=[1, 2, 3, 4])
    del bare["segmentation"]
    annotations = [
        instance(1, [], bbox=[4.5, 5, 10.25, 8]),
        bare,
        instance(3, [[]], bbox=[1, 2, 3, 4]),
    ]
    import_coco(coco(tmp_path / "s", *annotations), tmp_path / "set")
    shapes = shapes_of(tmp_path / "set")
    assert [s.shape_type for s in shapes] == ["rectangle"] * 3
    assert shapes[0].points == ((4.5, 5.0), (14.75, 13.0))
    assert shapes[1].points == shapes[2].points == ((1.0, 2.0), (4.0, 6.0))


def test_flags_are_read_beside_the_keys_and_under_attributes(tmp_path: Path) -> None:
    attributes = {"occluded": True, "truncated": 0, "rotation": 0.0, "track_id": 4}
    source = coco(
        tmp_path / "s",
        instance(1, [TRIANGLE], attributes=attributes, score=0.5),
        instance(2, [TRIANGLE], occluded=1, truncated=False),
        instance(3, [TRIANGLE], attributes={"occluded": "partly"}),  # not a flag, so it is kept
        instance(4, [TRIANGLE, TRIANGLE], iscrowd=1, attributes={"truncated": True}),
    )
    import_coco(source, tmp_path / "set")
    crowd, crowd_too, one, two, three = shapes_of(tmp_path / "set")  # crowds are below
    assert one.flags == {"occluded": True, "truncated": False}
    assert two.flags == {"occluded": True, "truncated": False}
    assert three.flags == {}
    assert crowd.flags == crowd_too.flags == {"crowd": True, "truncated": True}
    kept = {"id": 1, "category_id": 1, "area": 1.0, "bbox": [0, 0, 1, 1], "score": 0.5}
    assert one.extra["coco"] == {**kept, "attributes": {"rotation": 0.0, "track_id": 4}}
    assert three.extra["coco"]["attributes"] == {"occluded": "partly"}


def test_keys_that_labelme_lacks_are_kept(tmp_path: Path) -> None:
    licence = {"id": 3, "name": "CC BY 4.0", "url": "https://example.org"}
    category = {**CATEGORY, "keypoints": ["head"]}
    source = coco(
        tmp_path / "s",
        instance(1, [TRIANGLE], keypoints=[1, 2, 2], num_keypoints=1),
        images=[image(1, "a.jpg", license=3, date_captured="2023-01-01")],
        info={"contributor": "me"},
        licenses=[licence],
        categories=[category],
    )
    import_coco(source, tmp_path / "set")
    annotation = read_annotation(tmp_path / "set/labelme/a.json")
    assert annotation.extra["coco"]["image"]["license"] == 3
    assert annotation.shapes[0].extra["coco"]["keypoints"] == [1, 2, 2]
    (record,) = json.loads((tmp_path / "set/imported.json").read_text())["sources"]
    assert record["licenses"] == [licence]
    assert (record["info"], record["categories"]) == ({"contributor": "me"}, [category])


def test_too_few_points_and_empty_masks_are_imported_and_validation_reports_them(
    tmp_path: Path,
) -> None:
    source = coco(
        tmp_path / "s",
        instance(1, [[1, 2, 3, 4]]),
        instance(2, {"size": [30, 40], "counts": [1200]}),
        instance(3, [TRIANGLE]),
    )
    import_coco(source, tmp_path / "set")
    checked = check_dataset(open_dataset(tmp_path / "set"))
    errors = [(f.rule, f.shape) for f in checked.findings if f.severity == "error"]
    assert sorted(errors) == [("points-few", 0), ("zero-area", 1)]
