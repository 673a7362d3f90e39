"""Scores of a model in training, on the test photos: box AP, and panoptic quality with masks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any

import torch
from torch import Tensor

from conversion.coco.panoptic import PanopticSet, Photo
from detr.data.boxes import norm_to_pixels
from detr.data.classes import ClassTable
from detr.data.examples import Batch
from detr.prediction.predict import predict
from detr.training.learner import Learner, guesses_in_float32, on_device
from detr.weights.checkpoint import Checkpoint, checkpoint_path, save_checkpoint
from evaluation.scores.precision import box_precision
from evaluation.scores.scores import evaluate_files


@torch.no_grad()
def box_scores(
    learner: Learner, batches: Iterator[Batch], truth: PanopticSet, classes: ClassTable
) -> dict[str, float]:
    """Box AP of things; each query counts with its likeliest class, as published.

    Empty where no test photo has a thing.
    """
    results: list[dict[str, Any]] = []
    photos = {photo.id: photo for photo in truth.photos}
    for batch in batches:
        with learner.autocast():
            output = learner.trunk(on_device(batch.seen, learner.processes.device))
        last = guesses_in_float32(output).guesses[-1]
        scores, found = last.logits.softmax(-1)[..., :-1].max(-1)  # (B, Q)
        for index, target in enumerate(batch.targets):
            values = (scores[index], found[index], last.cxcywh_norm[index])
            results += _results(photos[target.image_id], classes, *(v.cpu() for v in values))
    ap = box_precision(truth, results)
    return {"box_ap": ap.ap, "box_ap50": ap.ap50} if ap else {}


def _results(
    photo: Photo, classes: ClassTable, scores: Tensor, found: Tensor, cxcywh_norm: Tensor
) -> list[dict[str, Any]]:
    """The boxes of one photo as COCO's results format spells them."""
    boxes = norm_to_pixels(cxcywh_norm, width=photo.width, height=photo.height)
    return [
        {
            "image_id": photo.id,
            "category_id": classes.category_ids[label],
            "bbox": box,
            "score": score,
        }
        for label, box, score in zip(found.tolist(), boxes.tolist(), scores.tolist(), strict=True)
    ]


def panoptic_scores(
    checkpoint: Checkpoint, truth_json: Path, images: Path, *, folder: Path
) -> dict[str, float]:
    """PQ and AP of a model with masks: what `predict` and `evaluate` would say of it."""
    run = folder / "scoring"
    try:
        save_checkpoint(checkpoint_path(run, "masks"), checkpoint)
        predict(run, images, run / "predictions")
        scores = evaluate_files(truth_json, run / "predictions" / "panoptic.json")
    finally:
        rmtree(run, ignore_errors=True)
    quality = scores.quality
    values = {"pq": quality.all.pq, "sq": quality.all.sq, "rq": quality.all.rq}
    values |= {"pq_things": quality.things.pq, "pq_stuff": quality.stuff.pq}
    for name, ap in (("box_ap", scores.box_ap), ("mask_ap", scores.mask_ap)):
        values |= {} if ap is None else {name: ap.ap}
    return values
