"""Predictions: a panoptic data set and instances in COCO's results format, written to disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pycocotools import mask as coco_mask

from annotation.photos.listing import list_photos
from base.errors import InputError
from base.files import digest, inside
from base.parsing import read_json, write_json
from base.progress import track
from conversion.coco.panoptic import PanopticSet, Photo, Segment, measure, write_panoptic
from conversion.coco.png import SegmentIds, png_names, write_segment_ids
from detr.data.boxes import norm_to_pixels
from detr.data.classes import ClassTable
from detr.data.examples import Pixels, normalise, read_photo
from detr.data.padded import pad
from detr.data.view import plain_view
from detr.model.detr import Output
from detr.prediction.postprocess import Candidate, Region, choices, full_size, merge
from detr.prediction.predictor import Predictor, Thresholds, find_model, load_predictor

FORMAT = "2"  # goes up when the same checkpoint would write something else
MOST_INSTANCES = 100  # a photo


@dataclass(frozen=True)
class Opened:
    """A photo that could be read; `file_name` is relative to the folder of photos."""

    id: int
    file_name: str
    pixels: Pixels


@dataclass(frozen=True)
class Predicted:
    """What goes to disk for one photo."""

    photo: Photo
    ids: SegmentIds
    instances: list[dict[str, Any]]


def predict(
    source: str | Path, images: Path, out: Path, thresholds: Thresholds | None = None
) -> None:
    """Predict every photo below `images`; write to `out`.

    `source` is the folder of a run with trained masks, a file of published weights with a mask
    head, or the name of one.
    """
    path = find_model(source)
    photos = list_photos(images)
    if not photos:
        raise InputError(f"{images}: no photos found")
    _check_place(images, out)
    names = [photo.relative_to(images).as_posix() for photo in photos]
    thresholds = thresholds or Thresholds()
    made_from = digest(FORMAT, repr(thresholds), path, *names, *photos)
    if _is_up_to_date(out, made_from):
        print(f"{out}: up to date")
        return
    predictor = load_predictor(path, thresholds)
    unreadable: list[str] = []
    opened = _open(images, names, unreadable)
    png_name_of = png_names(names)
    own = {*_own_pngs(out), *png_name_of.values()}
    _begin(out, own)
    results = track(_predict(predictor, opened), "predict", total=len(names))
    done = [_save(out / "panoptic", p, png_name_of[p.photo.file_name]) for p in results]
    _write(out, done, predictor.classes)
    kept = {p.photo.png_name for p in done}
    for stale in own - kept:
        inside(out / "panoptic", stale, where=str(out / "manifest.json")).unlink(missing_ok=True)
    if unreadable:
        raise InputError(f"{len(unreadable)} photos were skipped:\n" + "\n".join(unreadable))
    write_json(out / "manifest.json", {"digest": made_from, "pngs": sorted(kept)}, indent=2)


def _is_up_to_date(out: Path, made_from: str) -> bool:
    whole = all((out / name).is_file() for name in ("panoptic.json", "instances.json"))
    return whole and (_manifest(out) or {}).get("digest") == made_from


def _check_place(images: Path, out: Path) -> None:
    """InputError where `out` holds anything but an earlier prediction, or lies among the photos."""
    if out.resolve().is_relative_to(images.resolve()):
        raise InputError(f"{out}: lies in {images}, so predictions would be taken for photos")
    if out.is_dir() and any(out.iterdir()) and _manifest(out) is None:
        raise InputError(f"{out}: holds files that `predict` did not write; name another folder")


def _manifest(out: Path) -> dict[str, Any] | None:
    """What an earlier prediction, finished or not, says of itself; None where there is none."""
    path = out / "manifest.json"
    found = read_json(path) if path.is_file() else None
    return found if isinstance(found, dict) and "digest" in found else None


def _own_pngs(out: Path) -> list[str]:
    """PNGs that an earlier prediction wrote; no others are ever removed."""
    found = (_manifest(out) or {}).get("pngs", [])
    return [name for name in found if isinstance(name, str)]


def _begin(out: Path, own: set[str]) -> None:
    """Say which PNGs are ours, and take the JSON files away: they would not fit the new PNGs."""
    write_json(out / "manifest.json", {"digest": "", "pngs": sorted(own)}, indent=2)
    for name in ("panoptic.json", "instances.json"):
        (out / name).unlink(missing_ok=True)


def _open(images: Path, names: list[str], unreadable: list[str]) -> Iterator[Opened]:
    """Read the photos one by one; what cannot be read goes to `unreadable` and is left out."""
    for index, name in enumerate(names):
        try:
            yield Opened(index + 1, name, read_photo(images / name))
        except InputError as error:
            unreadable.append(str(error))


def _predict(predictor: Predictor, photos: Iterator[Opened]) -> Iterator[Predicted]:
    """Photos of one size that follow each other go through the model together."""
    waiting: list[Opened] = []
    for photo in photos:
        full = len(waiting) == predictor.config.batch_size
        if waiting and (full or photo.pixels.shape != waiting[0].pixels.shape):
            yield from _predict_batch(predictor, waiting)
            waiting = []
        waiting.append(photo)
    if waiting:
        yield from _predict_batch(predictor, waiting)


@torch.no_grad()
def _predict_batch(predictor: Predictor, photos: list[Opened]) -> list[Predicted]:
    config = predictor.config
    height, width = photos[0].pixels.shape[:2]
    view = plain_view(config, width=width, height=height)
    images = [normalise(view.of_photo(p.pixels), config.backbone) for p in photos]
    output = predictor.model.detr(pad(images).to(predictor.device))
    return [_predict_photo(predictor, photo, output, i) for i, photo in enumerate(photos)]


def _predict_photo(predictor: Predictor, opened: Opened, output: Output, index: int) -> Predicted:
    """Segments and instances of photo `index` of a batch; masks only of queries that may count."""
    guess, least = output.guesses[-1], min(predictor.threshold, predictor.thresholds.instance)
    found = [
        choice
        for choice in choices(guess.logits[index], predictor.classes, least=least)
        if predictor.is_segment(choice) or predictor.is_instance(choice)
    ]
    query = torch.tensor([c.query for c in found], dtype=torch.int64, device=predictor.device)
    masks = predictor.model.masks(output, torch.full_like(query, index), query)
    boxes = guess.cxcywh_norm[index, query]
    candidates = [Candidate(*each) for each in zip(found, masks, boxes, strict=True)]

    height, width = opened.pixels.shape[:2]
    kept = [c for c in candidates if predictor.is_segment(c.choice)]
    ids, regions = merge(kept, width=width, height=height)
    things = sorted(
        (c for c in candidates if predictor.is_instance(c.choice)), key=lambda c: -c.choice.score
    )
    return Predicted(
        Photo(opened.id, opened.file_name, width, height, "", _segments(ids, regions)),
        ids,
        [_instance(c, opened) for c in things[:MOST_INSTANCES]],
    )


def _segments(ids: SegmentIds, regions: list[Region]) -> tuple[Segment, ...]:
    """Segments with the area and box of their visible pixels; ids count from 1."""
    seen = measure(ids)
    return tuple(
        Segment(index, region.category.id, *seen[index], score=round(region.score, 4))
        for index, region in enumerate(regions, start=1)
    )


def _instance(candidate: Candidate, opened: Opened) -> dict[str, Any]:
    """One thing as COCO's results format spells it."""
    height, width = opened.pixels.shape[:2]
    mask = full_size(candidate.mask, width=width, height=height) > 0
    encoded = coco_mask.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))
    box = norm_to_pixels(candidate.cxcywh_norm, width=width, height=height)
    return {
        "image_id": opened.id,
        "category_id": candidate.choice.category.id,
        "bbox": [round(value, 2) for value in box.tolist()],
        "score": round(candidate.choice.score, 4),
        "segmentation": {**encoded, "counts": encoded["counts"].decode()},
    }


def _save(folder: Path, predicted: Predicted, png_name: str) -> Predicted:
    """Write the PNG at once and let go of its pixels."""
    write_segment_ids(folder / png_name, predicted.ids)
    photo = replace(predicted.photo, png_name=png_name)
    return replace(predicted, photo=photo, ids=np.zeros((0, 0), np.uint32))


def _write(out: Path, predicted: list[Predicted], classes: ClassTable) -> None:
    """Write both JSON files."""
    photos = tuple(p.photo for p in predicted)
    panoptic = PanopticSet(out / "panoptic.json", out / "panoptic", classes.categories, photos)
    write_panoptic(panoptic)
    write_json(out / "instances.json", [i for p in predicted for i in p.instances])
