"""Scores on held-out photos during training: box AP or, with masks, panoptic quality and AP."""

from __future__ import annotations

from collections.abc import Iterable
from shutil import rmtree

import torch
from torch import Tensor

from conversion.coco.panoptic import PanopticSet, Photo
from conversion.coco.panoptic_file import read_panoptic
from conversion.coco.results import Result
from detr.data.batch import Batch
from detr.data.boxes import norm_to_pixels
from detr.data.classes import ClassTable
from detr.data.loader import plan_steps
from detr.prediction.predict import predict_names
from detr.prediction.predictor import checkpoint_predictor
from detr.prediction.thresholds import Thresholds
from detr.training.feature_cache import FeatureCache
from detr.training.reading import read_steps
from detr.training.run_folder import Run
from detr.training.schedule import History, stage_epochs
from detr.training.stage_model import StageModel, to_device
from detr.weights.checkpoint import Checkpoint
from evaluation.scores.precision import box_precision
from evaluation.scores.scores import evaluate_sets


def score_epoch(
    run: Run,
    model: StageModel,
    cache: FeatureCache | None,
    checkpoint: Checkpoint,
    history: History,
) -> dict[str, dict[str, float]]:
    """Return `scores` for the log if they are due: at the configured interval and at the end.

    `history` are the lines of earlier epochs. The first process computes the scores, and the others
    wait.
    """
    every, held_out = run.config.score_every, run.splits.held_out_set
    is_last = checkpoint.epoch == stage_epochs(run.config, model.stage, history)
    is_due = every and (checkpoint.epoch % every == 0 or is_last) and held_out.photos
    if not is_due:
        return {}
    scores: dict[str, float] = {}
    if run.processes.is_first and model.stage == "boxes":
        examples = run.examples(run.splits.held_out, model.stage, epoch=None)
        steps = plan_steps(range(len(examples)), run.config)
        read = read_steps(model, examples, steps, cache, "score")
        batches = (batch for _, step_batches in read for batch in step_batches)
        scores = box_scores(model, batches, held_out, run.splits.classes)
    elif run.processes.is_first:
        with run.processes.all_threads():
            scores = panoptic_scores(run, checkpoint)
    return {"scores": run.processes.broadcast(scores)}


@torch.no_grad()
def box_scores(
    model: StageModel, batches: Iterable[Batch], truth: PanopticSet, classes: ClassTable
) -> dict[str, float]:
    """Return the box AP of things, with the most probable class of each query, as published.

    The result is empty if no photo has a thing.
    """
    results: list[Result] = []
    photos = {photo.id: photo for photo in truth.photos}
    for batch in batches:
        with model.autocast():
            output = model.trunk(to_device(batch.inputs, model.processes.device))
        last = output.layers[-1]
        scores, labels = last.logits.softmax(-1)[..., :-1].max(-1)  # (B, Q)
        for index, target in enumerate(batch.targets):
            values = (scores[index], labels[index], last.cxcywh_norm[index])
            results += _results(photos[target.image_id], classes, *(v.cpu() for v in values))
    ap = box_precision(truth, results)
    return {"box_ap": ap.ap, "box_ap50": ap.ap50} if ap else {}


def _results(
    photo: Photo, classes: ClassTable, scores: Tensor, labels: Tensor, cxcywh_norm: Tensor
) -> list[Result]:
    """Return the boxes of one photo, without masks."""
    boxes = norm_to_pixels(cxcywh_norm, width=photo.width, height=photo.height)
    return [
        Result(photo.id, classes.category_ids[label], (x, y, w, h), score)
        for label, (x, y, w, h), score in zip(
            labels.tolist(), boxes.tolist(), scores.tolist(), strict=True
        )
    ]


def panoptic_scores(run: Run, checkpoint: Checkpoint) -> dict[str, float]:
    """Return the PQ and AP that `predict` and `evaluate` would report for a checkpoint.

    The thresholds are the configured ones. Raises InputError if a photo cannot be read.
    """
    truth, images = run.splits.held_out_set, run.splits.images(run.splits.held_out)
    folder = run.folder / "checkpoints" / "scoring"
    try:
        predictor = checkpoint_predictor(checkpoint, Thresholds())
        predict_names(predictor, images, [photo.file_name for photo in truth.photos], folder)
        scores = evaluate_sets(truth, read_panoptic(folder / "panoptic.json"))
    finally:
        rmtree(folder, ignore_errors=True)
    quality = scores.quality
    values = {"pq": quality.all.pq, "sq": quality.all.sq, "rq": quality.all.rq}
    values |= {"pq_things": quality.things.pq, "pq_stuff": quality.stuff.pq}
    for name, ap in (("box_ap", scores.box_ap), ("mask_ap", scores.mask_ap)):
        values |= {} if ap is None else {name: ap.ap}
    return values
