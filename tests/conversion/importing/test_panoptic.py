"""Panoptic sets become masks and label maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from annotation.dataset import open_dataset
from annotation.labelme.annotation import read_annotation
from base.errors import InputError
from conversion.importing.importer import import_coco
from conversion.importing.write import WrittenPhoto
from tests.conversion.importing.coco_files import (
    PANOPTIC,
    panoptic,
    problem,
    segment,
    shapes_of,
)
from tests.drawn import ROAD, SKY


def test_panoptic_things_become_masks_and_stuff_a_label_map(tmp_path: Path) -> None:
    ids = np.zeros((30, 40), int)
    ids[:10], ids[10:20], ids[3:6, 5:9], ids[29, 39] = 70000, 2, 3, 4
    listed = [
        segment(70000, 7),
        segment(2, 6, score=0.25),
        segment(3, 5, iscrowd=1, occluded=1),
        segment(4, 5, score=0.5),
    ]
    source = panoptic(tmp_path / "s", ids, listed, PANOPTIC)
    done = import_coco(source, tmp_path / "set")
    assert done.written == (WrittenPhoto(shapes=2, stuff=True, present=False),)
    first, second = shapes_of(tmp_path / "set")
    assert first.points == ((5.0, 3.0), (8.0, 5.0))
    assert first.flags == {"crowd": True, "occluded": True}
    assert second.points == ((39.0, 29.0), (39.0, 29.0))
    assert second.extra["coco"]["score"] == 0.5
    stuff = cv2.imread(str(tmp_path / "set/stuff/a.png"), cv2.IMREAD_UNCHANGED)
    assert stuff.dtype == np.uint8
    want = np.where(ids == 70000, SKY, np.where(ids == 2, ROAD, 0))
    assert np.array_equal(stuff, want)
    config = open_dataset(tmp_path / "set").config
    assert (config.things, config.stuff) == (("box",), ("road", "sky-other-merged"))
    kept = read_annotation(tmp_path / "set/labelme/a.json").extra["coco"]
    assert kept["stuff"] == listed[:2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"listed": [segment(3, 5)]}, r"a\.png has ids without a segment: \[2\]"),
        (
            {"listed": [segment(2, 8), segment(3, 5)]},
            "expected a COCO stuff category, found 'moon-dust'",
        ),
        (
            {"listed": [segment(2, 5), segment(3, 9)]},
            r"segments_info\[1\]: category_id: .* found 9",
        ),
        ({"listed": [segment(2, 5), segment(2, 5), segment(3, 5)]}, "id 2 appears twice"),
        ({"listed": [segment(0, 5), segment(2, 5), segment(3, 5)]}, "Expected `int` >= 1"),
        ({"shape": (10, 10)}, "expected 40x30 pixels, the size of its photo, found 10x10"),
    ],
)
def test_panoptic_problems(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    ids = np.full(change.get("shape", (30, 40)), 2)
    ids[3, 3] = 3
    listed = change.get("listed", [segment(2, 5), segment(3, 5)])
    source = panoptic(tmp_path / "s", ids, listed, PANOPTIC)
    with pytest.raises(InputError, match=message):
        import_coco(source, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_unknown_stuff_suggests_the_nearest_coco_name(tmp_path: Path) -> None:
    categories = [*PANOPTIC[:1], {"id": 6, "name": "sky-other", "isthing": 0}]
    source = panoptic(tmp_path / "s", np.full((30, 40), 2), [segment(2, 6)], categories)
    assert (
        "expected a COCO stuff category, found 'sky-other'; did you mean 'sky-other-merged'?"
        in problem(source, tmp_path / "set")
    )


def test_the_error_about_a_missing_png_lists_the_folders(tmp_path: Path) -> None:
    source = panoptic(tmp_path / "s", np.full((30, 40), 2), [segment(2, 6)], PANOPTIC)
    (tmp_path / "s/annotations/panoptic_val/a.png").unlink()
    assert "PNG 'a.png' is missing; looked in" in problem(source, tmp_path / "set")
