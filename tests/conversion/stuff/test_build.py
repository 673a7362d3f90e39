"""Stuff from every source in the built set, and what a change of one source rebuilds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotation.dataset import Dataset
from conversion.building.build import convert
from conversion.coco.panoptic import PanopticSet, Photo
from conversion.coco.panoptic_file import read_panoptic
from pipeline import main
from tests.drawn import ROAD, SKY, draw_dataset, square

YAML = """\
name: drawn
things: [box]
stuff: [sky-other-merged]
own_stuff: [puddle]
stuff_groups: {ground: [road, gravel]}
stuff_sources:
  - shapes: {wet: puddle}
  - coco: coco.json
  - label_maps: stuff
split: {train: 0.5, test: 0.5, seed: 0}
"""
BOX, PUDDLE, GROUND = 201, 1001, 2001


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Four photos: sky over road, a box half over a puddle; coco.json has gravel in p2 and p3."""
    shapes = [square("box", 4, 20, 6), square("wet", 6, 18, 8)]
    dataset = draw_dataset(tmp_path / "set", {f"p{i}": shapes for i in range(4)}, yaml=YAML)
    write_coco(dataset, "gravel", x=30)
    return dataset


def write_coco(dataset: Dataset, name: str, *, x: int) -> None:
    """A stuff JSON with a square of 5x5 pixels in p2 and p3; that of p3 never changes."""
    corners = {1: [x, 12, x + 5, 12, x + 5, 17, x, 17], 2: [30, 12, 35, 12, 35, 17, 30, 17]}
    value = {
        "images": [
            {"id": i, "file_name": f"p{i + 1}.jpg", "width": 40, "height": 30} for i in (1, 2)
        ],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 7 if i == 1 else 8, "segmentation": [points]}
            for i, points in corners.items()
        ],
        "categories": [{"id": 7, "name": name}, {"id": 8, "name": "gravel"}],
    }
    (dataset.root / "coco.json").write_text(json.dumps(value))


def photos_of(dataset: Dataset) -> dict[str, tuple[PanopticSet, Photo]]:
    sets = (
        read_panoptic(dataset.panoptic / f"annotations/panoptic_{split}.json")
        for split in ("train", "test")
    )
    return {photo.file_name: (panoptic, photo) for panoptic in sets for photo in panoptic.photos}


def areas(dataset: Dataset, name: str) -> dict[int, int]:
    return {s.category_id: s.area for s in photos_of(dataset)[name][1].segments}


def test_all_sources_contribute_to_the_set(dataset: Dataset) -> None:
    convert(dataset)
    panoptic, _ = photos_of(dataset)["p0.jpg"]
    assert [(c.id, c.name, c.isthing) for c in panoptic.categories] == [
        (SKY, "sky-other-merged", False),
        (BOX, "box", True),
        (PUDDLE, "puddle", False),
        (GROUND, "ground", False),
    ]
    puddle = 8 * 8 - 4 * 6  # without what the box covers, although the puddle was drawn later
    for name in ("p0.jpg", "p2.jpg"):  # gravel and road are one group: nothing changes
        ground = 18 * 40 - puddle - 36
        assert areas(dataset, name) == {SKY: 400, BOX: 36, PUDDLE: puddle, GROUND: ground}


def test_a_changed_entry_rebuilds_its_photo_only(dataset: Dataset) -> None:
    convert(dataset)
    before = {p.name: p.stat().st_mtime_ns for p in dataset.panoptic.rglob("panoptic_*/*.png")}
    write_coco(dataset, "gravel", x=20)
    convert(dataset)
    after = {p.name: p.stat().st_mtime_ns for p in dataset.panoptic.rglob("panoptic_*/*.png")}
    assert {name for name in after if after[name] != before[name]} == {"p2.png"}


def test_other_stuff_in_a_source_is_void(dataset: Dataset) -> None:
    write_coco(dataset, "river", x=30)
    convert(dataset)
    assert areas(dataset, "p2.jpg")[GROUND] == areas(dataset, "p3.jpg")[GROUND] - 25
    assert ROAD not in areas(dataset, "p2.jpg")


def test_a_map_of_another_size_excludes_its_photo(dataset: Dataset) -> None:
    value = json.loads((dataset.root / "coco.json").read_text())
    value["images"][0]["width"] = 41
    (dataset.root / "coco.json").write_text(json.dumps(value))
    built = convert(dataset)
    ((file, why),) = built.left_out
    assert file == "labelme/p2.json"
    assert why.endswith(
        "coco.json: p2.jpg: expected 40x30 pixels, the size of the photo, found 41x30"
    )
    write_coco(dataset, "gravel", x=30)  # repaired, so it is built again
    assert convert(dataset).left_out == ()


def test_a_damaged_entry_excludes_only_its_photo(dataset: Dataset) -> None:
    value = json.loads((dataset.root / "coco.json").read_text())
    for wrong, message in [("x", "Expected"), ([[1, 2, 3]], "polygons of 3 or more points")]:
        value["annotations"][0]["segmentation"] = wrong
        (dataset.root / "coco.json").write_text(json.dumps(value))
        ((file, why),) = convert(dataset).left_out
        assert file == "labelme/p2.json"
        assert "p2.jpg" in why and message in why


def test_export_on_the_command_line(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(dataset)
    for kind, file in (("semantic", "classes.json"), ("yolo-seg", "data.yaml")):
        words = ["export", str(dataset.root), "--format", kind, "--out", str(tmp_path / kind)]
        monkeypatch.setattr("sys.argv", ["pipeline.py", *words])
        main()
        assert (tmp_path / kind / file).is_file()
