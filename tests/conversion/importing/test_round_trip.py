"""A set that is exported and imported again is the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from annotation.dataset import Dataset, open_dataset
from annotation.labelme.annotation import Shape
from annotation.labelme.masks import encode_mask_png
from conversion.building.build import convert
from conversion.coco.panoptic_file import read_panoptic
from conversion.importing.importer import import_coco
from tests.conversion.importing.coco_files import (
    FACADES,
    coco,
    instance,
)
from tests.drawn import YAML, draw_dataset, draw_photo, square

Segments = dict[str, list[tuple[Any, ...]]]


def segments(dataset: Dataset) -> Segments:
    """Return the segments of each photo with their pixels, regardless of the split."""
    result = {}
    for split in ("train", "test"):
        panoptic = read_panoptic(dataset.panoptic / f"annotations/panoptic_{split}.json")
        names = {c.id: c.name for c in panoptic.categories}
        for one in panoptic.photos:
            ids = panoptic.segment_ids(one)
            result[one.file_name] = sorted(
                (
                    names[s.category_id],
                    s.category_id,
                    s.area,
                    s.bbox,
                    s.iscrowd,
                    s.attributes,
                    (ids == s.id).tobytes(),
                )
                for s in one.segments
            )
    return result


def build(dataset: Dataset) -> Segments:
    built = convert(dataset)
    assert not built.left_out
    return segments(dataset)


def assert_round_trip(dataset: Dataset, root: Path) -> None:
    before = build(dataset)
    done = import_coco(dataset.panoptic, root)
    assert done.splits.keys() == before.keys()
    # instances_{train,test}.json: panoptic_*.json have more information
    assert len(done.left_out) == 2
    again = open_dataset(root)
    assert (again.config.things, set(again.config.stuff)) == (
        dataset.config.things,
        set(dataset.config.stuff),
    )
    assert build(again) == before


def test_round_trip_of_everything_that_can_be_drawn(tmp_path: Path) -> None:
    flags = {"crowd": True, "occluded": True}
    mask = encode_mask_png(np.array([[1, 0, 1], [0, 1, 0]], bool))
    hole = square("__hole__", 4, 4, 3, 1)
    photos = {
        "groups/one.x": [square("box", 1, 2, 9, 1), hole, square("box", 20, 2, 5, 1)],
        "overlap": [square("box", 1, 1, 12), square("disc", 6, 6, 12), square("box", 9, 9, 3)],
        "crowd": [
            replace(square("box", 1, 1, 20), flags=flags),
            replace(square("disc", 5, 5, 4), flags={"truncated": True}),
        ],
        "small": [square("box", 3, 3, 1), square("disc", 39, 29, 1), square("box", 0, 0, 1)],
        "lines": [
            Shape("box", ((2.0, 2.0), (30.0, 20.0)), "line"),
            Shape("disc", ((10.0, 20.0),), "point"),
            Shape("disc", ((15.0, 12.0), (22.0, 12.0)), "circle"),
            Shape("box", ((31.0, 5.0), (33.0, 6.0)), "mask", mask=mask),
        ],
        "ignored": [square("box", 0, 0, 9), square("__ignore__", 3, 3, 9)],
        "empty": [],
        "hidden": [square("box", 5, 5, 3), square("disc", 2, 2, 9)],
    }
    dataset = draw_dataset(tmp_path / "set", photos, yaml=YAML + "line_width: 3\n")
    draw_photo(dataset.root, "nostuff", [square("box", 2, 2, 9)], stuff=False)
    assert_round_trip(dataset, tmp_path / "again")


@pytest.mark.parametrize("seed", range(5))
def test_round_trip_of_random_shapes(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    photos = {
        f"p{i}": [
            Shape(
                str(rng.choice(["box", "disc"])),
                tuple(map(tuple, rng.uniform(0, 30, (rng.integers(3, 7), 2)).tolist())),
                group_id=int(rng.integers(3)) or None,
                flags={"crowd": bool(rng.random() < 0.2), "occluded": bool(rng.random() < 0.5)},
            )
            for _ in range(rng.integers(1, 8))
        ]
        for i in range(3)
    }
    assert_round_trip(draw_dataset(tmp_path / "set", photos), tmp_path / "again")


def test_round_trip_of_facades(tmp_path: Path) -> None:
    if not FACADES.is_dir():
        pytest.skip(f"no facades set at {FACADES}")
    root = tmp_path / "set"
    for name in sorted((FACADES / "labelme").glob("*.json"))[:400:100]:
        for folder, suffix in (("labelme", ".json"), ("images", ".jpg"), ("stuff", ".png")):
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / f"{name.stem}{suffix}").write_bytes(
                (FACADES / folder / f"{name.stem}{suffix}").read_bytes()
            )
    labels = (FACADES / "labels.txt").read_text().split()
    things = [label for label in labels if not label.startswith("__") and label != "_background_"]
    stuff = "[building-other-merged, road, tree-merged, fence-merged, sky-other-merged]"
    (root / "dataset.yaml").write_text(
        f"name: f\nthings: [{', '.join(things)}]\nstuff: {stuff}\n"
        "stuff_sources: [{label_maps: stuff}]\nsplit: {train: 0.5, test: 0.5}\n"
    )
    assert_round_trip(open_dataset(root), tmp_path / "again")


def test_instances_that_do_not_overlap_keep_their_pixels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    annotations = []
    for number in range(12):  # each in its own tile of 10x10
        x, y = number % 4 * 10, number // 4 * 10
        polygons = (rng.uniform(0, 10, (2, 5, 2)) + np.array([x, y])).reshape(2, -1).tolist()
        segmentation: Any = polygons[: 1 + number % 2]
        if number % 3 == 0:
            mask = np.zeros((30, 40), np.uint8, order="F")
            mask[y : y + 10, x : x + 10] = rng.random((10, 10)) < 0.5
            counts = coco_mask.encode(mask)["counts"].decode()
            segmentation = {"size": [30, 40], "counts": counts}
        annotations.append(instance(100 + number, segmentation, iscrowd=int(number == 3)))
    source = coco(tmp_path / "s", *annotations)
    import_coco(source, tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    convert(dataset)
    truth = COCO(source)
    want = {truth.annToMask(a).tobytes(): a["iscrowd"] for a in truth.dataset["annotations"]}
    (split,) = (s for s in ("train", "test") if (dataset.panoptic / s / "a.jpg").exists())
    built = COCO(dataset.panoptic / f"annotations/instances_{split}.json")
    got = {built.annToMask(a).tobytes(): a["iscrowd"] for a in built.dataset["annotations"]}
    assert got == want
