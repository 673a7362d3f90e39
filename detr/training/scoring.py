"""Scores on the test photos during training: box AP or, with masks, panoptic quality and AP."""

from __future__ import annotations

from collections.abc import Iterable
from shutil import rmtree

import torch
from torch import Tensor

from conversion.coco.panoptic import PanopticSet, Photo
from conversion.coco.results import Result
from detr.data.batch import Batch
from detr.data.boxes import norm_to_pixels
from detr.data.classes import ClassTable
from detr.data.loader import plan_steps
from detr.prediction.predict import predict_folder
from detr.prediction.predictor import Thresholds, checkpoint_predictor
from detr.training.feature_cache import FeatureCache
from detr.training.reading import read_steps
from detr.training.run_folder import Run
from detr.training.schedule import stage_epochs
from detr.training.stage_model import StageModel, to_device
from detr.weights.checkpoint import Checkpoint
from evaluation.scores.precision import box_precision
from evaluation.scores.scores import evaluate_files


def score_epoch(
    run: Run, model: StageModel, cache: FeatureCache | None, checkpoint: Checkpoint
) -> dict[str, dict[str, float]]:
    """Return `scores` for the log if they are due: at the configured interval and at the end.

    The first process computes them and the others wait.
    """
    every = run.config.score_every
    is_last = checkpoint.epoch == stage_epochs(run.config, model.stage)
    is_due = every and (checkpoint.epoch % every == 0 or is_last) and run.splits.test.photos
    if not is_due:
        return {}
    scores: dict[str, float] = {}
    if run.processes.is_first:
        if model.stage == "boxes":
            examples = run.examples("test", model.stage, epoch=None)
            steps = plan_steps(range(len(examples)), run.config)
            read = read_steps(model, examples, steps, cache, "score")
            batches = (batch for _, step_batches in read for batch in step_batches)
            scores = box_scores(model, batches, run.splits.test, run.splits.classes)
        else:
            scores = panoptic_scores(run, checkpoint)
    return {"scores": run.processes.broadcast(scores)}


@torch.no_grad()
def box_scores(
    model: StageModel, batches: Iterable[Batch], truth: PanopticSet, classes: ClassTable
) -> dict[str, float]:
    """Return the box AP of things, with the most probable class of each query, as published.

    The result is empty if no test photo has a thing.
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

    Raises InputError if a test photo cannot be read.
    """
    truth = run.splits.test.json_path
    folder = run.folder / "checkpoints" / "scoring"
    try:
        predictor = checkpoint_predictor(checkpoint, Thresholds())
        predict_folder(predictor, run.splits.folder / "test", folder)
        scores = evaluate_files(truth, folder / "panoptic.json")
    finally:
        rmtree(folder, ignore_errors=True)
    quality = scores.quality
    values = {"pq": quality.all.pq, "sq": quality.all.sq, "rq": quality.all.rq}
    values |= {"pq_things": quality.things.pq, "pq_stuff": quality.stuff.pq}
    for name, ap in (("box_ap", scores.box_ap), ("mask_ap", scores.mask_ap)):
        values |= {} if ap is None else {name: ap.ap}
    return values
