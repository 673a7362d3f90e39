"""COCO files as stuff sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from base.errors import InputError
from conversion.coco.index import open_index
from tests.conversion.stuff.source_files import (
    PERSON,
    H,
    W,
    grey,
    halves,
    panoptic,
    problem,
    stuff,
)
from tests.drawn import ROAD, SKY


def test_a_panoptic_set_gives_its_stuff_by_name_and_its_things_are_void(tmp_path: Path) -> None:
    segments = [
        {"id": 1, "category_id": ROAD},
        {"id": 70000, "category_id": 3},
        {"id": 300, "category_id": PERSON},
    ]
    panoptic(tmp_path / "coco.json", halves(70000, 1, left=300), segments)
    yaml = "stuff_sources: [{coco: coco.json}]"
    assert stuff(tmp_path, yaml) == halves(SKY, ROAD, left=0)


def test_a_stuff_json_may_have_rles_and_polygons(tmp_path: Path) -> None:
    mask = np.asfortranarray(np.array(halves(1, 0), np.uint8))
    code = {"size": [H, W], "counts": coco_mask.encode(mask)["counts"].decode()}
    value = {
        "images": [{"id": 7, "file_name": "train/a.jpg", "height": H, "width": W}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 157, "segmentation": code},
            {
                "id": 2,
                "image_id": 7,
                "category_id": ROAD,
                "segmentation": [[0, 2, 6, 2, 6, 4, 0, 4]],
            },
        ],
        "categories": [
            {"id": 157, "name": "sky-other", "supercategory": "sky"},
            {"id": ROAD, "name": "road", "supercategory": "ground"},
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(value))
    assert stuff(tmp_path, "stuff_sources: [{coco: coco.json}]") == halves(SKY, ROAD)


@pytest.mark.parametrize(
    ("photo", "stored"),
    [
        ("a.jpg", "a.jpg"),
        ("sub/a.jpg", "sub/a.jpg"),
        ("sub/a.jpg", "a.jpg"),
        ("a.jpg", "val2017/a.jpg"),
        ("000000000007.jpg", "x.jpg"),
        ("COCO_val2014_000000000007.png", "x.jpg"),
    ],
)
def test_photos_are_found_by_name_or_id(tmp_path: Path, photo: str, stored: str) -> None:
    images = [
        {"id": 8, "file_name": "other/z.jpg", "height": H, "width": W},
        {"id": 7, "file_name": stored, "height": H, "width": W},
    ]
    segments = [{"id": 1, "category_id": ROAD}]
    panoptic(tmp_path / "coco.json", halves(1, 1), segments, images=images)
    yaml = "stuff_sources: [{coco: coco.json}]"
    assert stuff(tmp_path, yaml, name=photo) == halves(ROAD, ROAD)
    assert stuff(tmp_path, yaml, name="elsewhere/b.jpg") == halves(0, 0)


def test_each_of_many_photos_is_found(tmp_path: Path) -> None:
    images = [
        {"id": i * 3, "file_name": f"{i:05}.x.jpg", "height": H, "width": W} for i in range(5000)
    ]
    segments = [{"id": 1, "category_id": ROAD}]
    annotations = [
        {"image_id": i * 3, "file_name": f"{i}.png", "segments_info": segments}
        for i in reversed(range(5000))
    ]
    path = tmp_path / "coco.json"
    panoptic(path, halves(1, 1), segments, images=images, annotations=annotations)
    index = open_index(path)
    for i in range(5000):
        row = index.find(f"{i:05}.x.jpg", shared=(), by_id=True)
        assert row == i
        (raw,) = index.annotations(row)
        assert json.loads(raw) == annotations[-1 - i]
    assert index.find("5000.x.jpg", shared=(), by_id=True) is None
    size = sum(a.nbytes for a in (index.keys, index.rows, index.sizes, index.first, index.spans))
    assert size < 100 * 5000  # bytes per photo, whatever else is in the file


def test_another_folder_is_another_photo(tmp_path: Path) -> None:
    images = [{"id": 7, "file_name": "one/a.jpg", "height": H, "width": W}]
    panoptic(tmp_path / "c.json", halves(1, 1), [{"id": 1, "category_id": ROAD}], images=images)
    yaml = "stuff_sources: [{coco: c.json}]"
    assert stuff(tmp_path, yaml, name="two/a.jpg") == halves(0, 0)


@pytest.mark.parametrize("name", ["a.png", "000000000007.png"])
def test_pixel_maps_have_ids_of_coco_stuff(tmp_path: Path, name: str) -> None:
    grey(tmp_path / "maps" / name, halves(157, ROAD, left=183), "P")  # sky-other; 183 is `other`
    yaml = "stuff_sources: [{pixelmaps: maps}]"
    photo = name.replace(".png", ".jpg")
    assert stuff(tmp_path, yaml, name=photo) == halves(SKY, ROAD, left=0)


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (
            [{"id": 1, "category_id": 999}],
            "coco.json: a.jpg: expected the id of a category, found 999",
        ),
        ([{"id": 2, "category_id": ROAD}], r"one.png: has ids without a segment: \[1\]"),
        ([{"id": 0, "category_id": ROAD}], "annotations of a.jpg: Expected `int` >= 1"),
    ],
)
def test_wrong_segments(tmp_path: Path, segments: list[dict[str, Any]], message: str) -> None:
    panoptic(tmp_path / "coco.json", halves(1, 1), segments)
    with pytest.raises(InputError, match=message):
        stuff(tmp_path, "stuff_sources: [{coco: coco.json}]")


@pytest.mark.parametrize("kind", ["coco: m.json", "pixelmaps: m", "label_maps: m"])
def test_maps_of_another_size_are_refused(tmp_path: Path, kind: str) -> None:
    panoptic(tmp_path / "m.json", [[1] * 6] * 3, [{"id": 1, "category_id": ROAD}])
    grey(tmp_path / "m/a.png", [[ROAD] * 6] * 3)
    message = problem(tmp_path, f"stuff_sources: [{{{kind}}}]")
    assert "6x4" in message and "found 6x3" in message


def test_files_that_are_not_coco_files_are_reported(tmp_path: Path) -> None:
    yaml = "stuff_sources: [{coco: c.json}]"
    tmp_path.mkdir(exist_ok=True)
    assert "c.json: cannot be read" in problem(tmp_path, yaml)
    for text, message in [
        ("", "expected a COCO file"),
        ("[1]", "expected a COCO file"),
        ('{"images": []}', "annotations is missing"),
        (
            '{"images": [], "annotations": [{"image_id": 3}], "categories": []}',
            "annotations[0]: no image has the id 3",
        ),
    ]:
        (tmp_path / "c.json").write_text(text)
        assert message in problem(tmp_path, yaml)
    (tmp_path / "c.json").unlink()
    yaml = "stuff_sources: [{coco: ../c.json}]"
    assert "path must stay in" in problem(tmp_path, yaml)
