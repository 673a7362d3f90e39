from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from annotation.dataset import Dataset
from base.errors import InputError
from conversion.building.build import convert
from conversion.building.prepared import BuildResult
from conversion.coco.panoptic import measure
from conversion.coco.panoptic_file import read_panoptic
from conversion.coco.png import png_names
from evaluation.scores.scores import evaluate_sets
from tests.drawn import BOX, ROAD, SKY, YAML, draw_dataset, draw_photo, square


def build(dataset: Dataset) -> BuildResult:
    return convert(dataset)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    photos = {f"sub/p{i}.x": [square("box", i, 3, 6), square("disc", 20, 5, 8)] for i in range(4)}
    return draw_dataset(tmp_path / "set", photos)


def test_the_whole_set(dataset: Dataset) -> None:
    built = replace(build(dataset), leaks=())  # all photos look alike
    assert built == BuildResult(True, {"train": 2, "test": 2}, 16, {})
    seen: set[int] = set()
    for split in ("train", "test"):
        panoptic = read_panoptic(dataset.panoptic / f"annotations/panoptic_{split}.json")
        for photo in panoptic.photos:
            ids = panoptic.segment_ids(photo)
            truth = {s.id: (s.area, s.bbox) for s in photo.segments}
            assert measure(ids) == truth
            assert not seen & truth.keys()
            seen |= truth.keys()
            assert photo.png_name == photo.file_name.replace(".jpg", ".png")
            assert (dataset.panoptic / split / photo.file_name).is_file()
            assert (ids[28:] == 0).all()  # the lowest rows are not labelled
            assert [s.category_id for s in photo.segments][:3] == [ROAD, SKY, BOX]
    assert 0 not in seen


def test_a_second_run_does_nothing_and_any_change_is_detected(dataset: Dataset) -> None:
    build(dataset)
    before = {p: p.stat().st_mtime_ns for p in dataset.panoptic.rglob("*")}
    assert not build(dataset).fresh
    assert {p: p.stat().st_mtime_ns for p in dataset.panoptic.rglob("*")} == before
    bytes_before = tree(dataset.panoptic)
    draw_photo(dataset.root, "sub/p0.x", [square("box", 1, 1, 4)])
    assert build(dataset).fresh
    assert tree(dataset.panoptic) != bytes_before


def test_same_input_same_bytes_after_an_unfinished_build(dataset: Dataset) -> None:
    build(dataset)
    before = tree(dataset.panoptic)
    (dataset.panoptic / "manifest.json").unlink()  # as if the build had been killed
    (dataset.panoptic / "panoptic_train/stale.png").write_bytes(b"x")
    build(dataset)
    assert tree(dataset.panoptic) == before


def test_a_set_against_itself_scores_100(dataset: Dataset) -> None:
    build(dataset)
    panoptic = read_panoptic(dataset.panoptic / "annotations/panoptic_test.json")
    scores = evaluate_sets(panoptic, panoptic)
    for mean in (scores.quality.all, scores.quality.things, scores.quality.stuff):
        assert (mean.pq, mean.sq, mean.rq) == (1, 1, 1)


def test_pycocotools_reads_it_unchanged(dataset: Dataset) -> None:
    build(dataset)
    coco = COCO(dataset.panoptic / "annotations/instances_train.json")
    panoptic = read_panoptic(dataset.panoptic / "annotations/panoptic_train.json")
    for photo in panoptic.photos:
        ids = panoptic.segment_ids(photo)
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[photo.id]))
        assert len(annotations) == 2
        for annotation in annotations:
            assert np.array_equal(coco.annToMask(annotation) == 1, ids == annotation["id"])
            assert annotation["area"] == coco_mask.area(coco.annToRLE(annotation))


def test_files_with_errors_are_left_out_and_listed(dataset: Dataset) -> None:
    (dataset.labelme / "sub/p1.x.json").write_text("{")
    built = build(dataset)
    assert built.left_out == (("labelme/sub/p1.x.json", "has errors; see `validate`"),)
    assert sum(built.photos.values()) == 3


def test_unknown_stuff_suggests_the_nearest_name(tmp_path: Path) -> None:
    yaml = YAML.replace("sky-other-merged", "sky-other")
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 5)]}, yaml=yaml)
    with pytest.raises(
        InputError,
        match=r"expected a COCO stuff category, found 'sky-other'; did you mean 'sky-other-",
    ):
        build(dataset)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((5, 5), np.uint8), "expected one channel of 40x30"),
        (np.full((30, 40), 91, np.uint8), r"expected COCO panoptic ids, found \[91\]"),
    ],
)
def test_wrong_label_maps(tmp_path: Path, labels: np.ndarray, message: str) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 5)]})
    cv2.imwrite(str(tmp_path / "stuff/a.png"), labels)
    with pytest.raises(InputError, match=f"a.png.*{message}"):
        build(dataset)


def test_png_names_do_not_collide() -> None:
    assert png_names(["a.b.jpg", "c.jpg", "c.png"]) == {
        "a.b.jpg": "a.b.png",
        "c.jpg": "c.jpg.png",
        "c.png": "c.png.png",
    }


def test_manifest_says_what_was_built(dataset: Dataset) -> None:
    build(dataset)
    manifest = json.loads((dataset.panoptic / "manifest.json").read_text())
    assert manifest["seed"] == 0
    assert manifest["result"]["photos"] == {"train": 2, "test": 2}
    assert len(manifest["inputs"]) == 64


def test_a_split_without_photos_can_be_read(tmp_path: Path) -> None:
    yaml = YAML.replace("train: 0.5, test: 0.5", "train: 1, test: 0")
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 5)]}, yaml=yaml)
    assert build(dataset).photos == {"train": 1, "test": 0}
    assert read_panoptic(dataset.panoptic / "annotations/panoptic_test.json").photos == ()


def test_instances_are_visible_or_amodal_as_configured(tmp_path: Path) -> None:
    shapes = [
        *(square("box", 2, 2, 10), square("disc", 6, 6, 10)),
        *(square("box", 20, 2, 8, group_id=1), square("__hole__", 22, 4, 3, group_id=1)),
        *(square("disc", 20, 15, 4, group_id=2), square("disc", 30, 15, 4, group_id=2)),
        replace(square("box", 2, 20, 5), flags={"crowd": True}),
    ]
    for kind in ("visible", "amodal"):
        yaml = YAML.replace("train: 0.5, test: 0.5", "train: 1") + f"instances: {kind}\n"
        dataset = draw_dataset(tmp_path / kind, {"a": shapes}, yaml=yaml)
        build(dataset)
        coco = COCO(dataset.panoptic / "annotations/instances_train.json")
        assert coco.dataset["info"]["masks"] == kind
        found = coco.loadAnns(coco.getAnnIds())
        assert [one["area"] for one in found] == [
            *(100 if kind == "amodal" else 64, 100, 64 - 9, 32, 25)
        ]
        polygons = [isinstance(one["segmentation"], list) for one in found]
        assert polygons == ([True, True, False, True, False] if kind == "amodal" else [False] * 5)
        for one in found:
            mask = coco.annToMask(one)
            assert mask.sum() == one["area"]
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            x, y, width, height = one["bbox"]
            assert (x, y) == (columns[0], rows[0])
            assert (x + width, y + height) == (columns[-1] + 1, rows[-1] + 1)
