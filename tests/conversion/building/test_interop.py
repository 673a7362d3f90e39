"""The real libraries of other projects read the built set."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hotcoco.panoptic import PanopticEval
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from torchmetrics.detection import PanopticQuality
from transformers import DetrImageProcessor
from transformers.image_transforms import id_to_rgb, rgb_to_id

from annotation.dataset import Dataset
from annotation.labelme.annotation import Shape
from conversion.building.build import convert
from conversion.coco.panoptic import PanopticSet, Photo, Segment, measure
from conversion.coco.panoptic_file import read_panoptic, write_panoptic
from conversion.coco.png import read_segment_ids, write_segment_ids
from evaluation.scores.matching import match_photo
from evaluation.scores.scores import evaluate_sets
from tests.drawn import BOX, DISC, ROAD, SKY, draw_dataset, square


def crowd(*corners: tuple[float, float]) -> Shape:
    return Shape("box", corners, flags={"crowd": True})


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Eight photos: things that overlap, one in two parts, one of one pixel, sky, road, void."""
    photos = {
        f"sub/p{i}": [
            square("box", 2 + i, 3, 9),
            square("disc", 8 + i, 6, 7),
            square("box", 30, 4, 1),
            square("disc", 26, 20, 4, group_id=1),
            square("disc", 34, 20, 4, group_id=1),
        ]
        for i in range(8)
    }
    dataset = draw_dataset(tmp_path / "set", photos)
    convert(dataset)
    return dataset


def truth_of(dataset: Dataset, split: str = "test") -> PanopticSet:
    return read_panoptic(dataset.panoptic / f"annotations/panoptic_{split}.json")


def perturbed(truth: PanopticSet, folder: Path) -> PanopticSet:
    """A prediction: segments moved one to three pixels, one missed, one of another category."""
    photos = []
    for number, photo in enumerate(truth.photos):
        ids = np.roll(truth.segment_ids(photo), 1 + number % 3, axis=1)
        things = [s.id for s in photo.segments if s.category_id in (BOX, DISC)]
        ids[ids == things[0]] = 0
        swapped = {things[1]: BOX + DISC - next(_category(photo, things[1]))}
        write_segment_ids(folder / "panoptic" / photo.png_name, ids)
        category_of = {s.id: s.category_id for s in photo.segments} | swapped
        segments = tuple(
            Segment(i, category_of[i], area, bbox) for i, (area, bbox) in measure(ids).items()
        )
        photos.append(replace(photo, segments=segments))
    made = PanopticSet(
        folder / "panoptic.json", folder / "panoptic", truth.categories, tuple(photos)
    )
    write_panoptic(made)
    return made


def _category(photo: Photo, segment_id: int) -> Any:
    return (s.category_id for s in photo.segments if s.id == segment_id)


def test_pycocotools_agrees_on_areas_boxes_and_masks(dataset: Dataset) -> None:
    coco = COCO(dataset.panoptic / "annotations/instances_train.json")
    assert {c["name"] for c in coco.loadCats(coco.getCatIds())} == {"box", "disc"}
    truth = truth_of(dataset, "train")
    assert sorted(coco.getImgIds()) == sorted(p.id for p in truth.photos)
    for annotation in coco.loadAnns(coco.getAnnIds()):
        rle = coco.annToRLE(annotation)
        assert annotation["area"] == coco_mask.area(rle)
        assert annotation["bbox"] == coco_mask.toBbox(rle).tolist()
    assert len(coco.getAnnIds()) == 4 * len(truth.photos)


def test_fiftyone_imports_instances(dataset: Dataset, mongo: str) -> None:
    import fiftyone as fo

    name = f"interop {os.getpid()}"
    samples = fo.Dataset.from_dir(
        dataset_type=fo.types.COCODetectionDataset,
        data_path=str(dataset.panoptic / "train"),
        labels_path=str(dataset.panoptic / "annotations/instances_train.json"),
        label_types="segmentations",
        name=name,
    )
    try:
        truth = truth_of(dataset, "train")
        assert len(samples) == len(truth.photos)
        by_name = {Path(p.file_name).name: p for p in truth.photos}
        for sample in samples:
            photo = by_name[Path(sample.filepath).name]
            things = [s for s in photo.segments if s.category_id in (BOX, DISC)]
            labels = {BOX: "box", DISC: "disc"}
            found = [
                (
                    d.label,
                    d.mask.sum(),
                    np.round(np.multiply(d.bounding_box, [40, 30] * 2)).tolist(),
                )
                for d in sample.ground_truth.detections
            ]
            expected = [(labels[s.category_id], s.area, list(s.bbox)) for s in things]
            assert sorted(found) == sorted(expected)
    finally:
        samples.delete()


def as_torchmetrics(panoptic: PanopticSet) -> torch.Tensor:
    """(N, H, W, 2) category and instance of each pixel."""
    maps = []
    for photo in panoptic.photos:
        ids = panoptic.segment_ids(photo)
        both = np.zeros((*ids.shape, 2), np.int64)
        for segment in photo.segments:
            both[ids == segment.id] = segment.category_id, segment.id
        maps.append(both)
    return torch.from_numpy(np.stack(maps))


def test_torchmetrics_gives_the_same_quality(dataset: Dataset, tmp_path: Path) -> None:
    truth = truth_of(dataset)
    metric = PanopticQuality(
        things={BOX, DISC}, stuffs={0, SKY, ROAD}, allow_unknown_preds_category=True
    )
    assert metric(as_torchmetrics(truth), as_torchmetrics(truth)).item() == 1.0
    prediction = perturbed(truth, tmp_path / "predicted")
    each = PanopticQuality(
        things={BOX, DISC}, stuffs={0, SKY, ROAD}, return_per_class=True, return_sq_and_rq=True
    )
    scores = each(as_torchmetrics(prediction), as_torchmetrics(truth)).squeeze().tolist()
    names = {c.id: c.name for c in truth.categories}
    ours = evaluate_sets(truth, prediction).quality.categories
    assert 0 < ours["disc"].pq < 1 and ours["disc"].fp and ours["box"].fn
    for category_id, (pq, sq, rq) in zip([BOX, DISC, 0, ROAD, SKY], scores, strict=True):
        if category_id:  # torchmetrics counts void as another stuff category
            found = ours[names[category_id]]
            assert (found.pq, found.sq, found.rq) == pytest.approx(
                (pq, sq, rq), abs=1e-6
            )  # float32


def test_torchmetrics_ignores_predicted_void() -> None:
    """Of a true segment of 5 pixels, 3 are predicted and 2 are left void: the IoU is 3/5."""
    true, predicted = np.array([[1] * 5], np.uint32), np.array([[9] * 3 + [0] * 2], np.uint32)
    truth = Photo(1, "a.jpg", 5, 1, "a.png", (Segment(1, BOX, 5, (0, 0, 5, 1)),))
    prediction = replace(truth, segments=(Segment(9, BOX, 3, (0, 0, 3, 1)),))
    assert match_photo(truth, true, prediction, predicted).pq == 0.6
    metric = PanopticQuality(things={BOX}, stuffs={SKY}, allow_unknown_preds_category=True)
    pixels = (np.stack([np.where(ids > 0, BOX, 0), ids], -1)[None] for ids in (predicted, true))
    assert metric(*(torch.from_numpy(each.astype(np.int64)) for each in pixels)).item() == 1.0


def test_hotcoco_gives_the_same_quality(dataset: Dataset, tmp_path: Path) -> None:
    truth = truth_of(dataset)
    folders = {"gt_folder": truth.png_folder, "pred_folder": truth.png_folder}
    itself = PanopticEval(truth.json_path, truth.json_path, **folders)
    itself.run()
    assert 100 * itself.results()["All"]["pq"] == 100.0
    prediction = perturbed(truth, tmp_path / "predicted")
    folders["pred_folder"] = prediction.png_folder
    other = PanopticEval(truth.json_path, prediction.json_path, **folders)
    other.run()
    ours = evaluate_sets(truth, prediction).quality
    for part, mean in (("All", ours.all), ("Things", ours.things), ("Stuff", ours.stuff)):
        theirs = other.results()[part]
        assert (mean.pq, mean.sq, mean.rq) == pytest.approx(
            (theirs["pq"], theirs["sq"], theirs["rq"]), abs=1e-9
        )


def test_hugging_face_reads_panoptic_annotations(dataset: Dataset) -> None:
    truth = truth_of(dataset)
    data = json.loads(truth.json_path.read_text())
    names = {image["id"]: image["file_name"] for image in data["images"]}
    annotations = [{**a, "id": a["image_id"]} for a in data["annotations"]]
    photos = [Image.open(dataset.panoptic / "test" / names[a["image_id"]]) for a in annotations]
    processor = DetrImageProcessor(
        format="coco_panoptic", do_resize=False, do_pad=False, do_convert_annotations=False
    )
    encoded = processor(
        images=photos, annotations=annotations, masks_path=truth.png_folder, return_tensors="pt"
    )
    for photo, labels in zip(truth.photos, encoded["labels"], strict=True):
        ids = truth.segment_ids(photo)
        assert labels["class_labels"].tolist() == [s.category_id for s in photo.segments]
        for segment, mask in zip(photo.segments, labels["masks"].numpy(), strict=True):
            assert np.array_equal(mask == 1, ids == segment.id)


def test_ids_follow_the_published_formula(dataset: Dataset, tmp_path: Path) -> None:
    truth = truth_of(dataset)
    png = truth.png_folder / truth.photos[0].png_name
    pixels = np.asarray(Image.open(png))
    assert np.array_equal(rgb_to_id(pixels), read_segment_ids(png, pixels.shape[:2]))
    ids = np.array([[0, 1, 255, 256], [65535, 65536, 2**24 - 2, 2**24 - 1]], np.uint32)
    write_segment_ids(tmp_path / "ids.png", ids)
    pixels = np.asarray(Image.open(tmp_path / "ids.png"))
    assert np.array_equal(pixels, id_to_rgb(ids))
    assert np.array_equal(rgb_to_id(pixels), ids)
