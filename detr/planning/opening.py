"""What `train` says before the first step."""

from __future__ import annotations

from pathlib import Path

from base.durations import duration
from detr.config import TrainConfig
from detr.data.splits import Splits
from detr.planning.plan import Plan
from detr.planning.times import count_photos
from detr.training.precision import has_bfloat16
from detr.training.stage_model import Stage, build_module


def opening_lines(plan: Plan, folder: Path, stages: tuple[Stage, ...]) -> list[str]:
    """Describe a run: the choices with their reasons, then what is trained, on what, where."""
    train, is_gpu = plan.config.train, plan.machine.gpu is not None
    lines = [plan.note] if plan.note else []
    if plan.choices:
        lines += ["chosen for these photos, this machine and the time (--set KEY=VALUE to change):"]
        lines += [f"  {choice}" for choice in plan.choices]
    return [
        *lines,
        f"device: {plan.machine}, precision {_precision(train, is_gpu=is_gpu)}",
        f"photos: {_photos(plan.splits)}",
        f"model: variant {train.variant}, {_parameters(plan, stages)}",
        f"time: {_time(plan)}",
        f"weights: {folder / 'checkpoints'}",
    ]


def _precision(train: TrainConfig, *, is_gpu: bool) -> str:
    if train.precision != "auto":
        return train.precision
    return "bfloat16" if has_bfloat16("cuda" if is_gpu else "cpu") else "float32"


def _photos(splits: Splits) -> str:
    photos = count_photos(splits)
    things = sum(category.isthing for category in splits.train.categories)
    stuff = len(splits.train.categories) - things
    source = "validation" if splits.tune and splits.tune is splits.val else "training"
    return (
        f"{photos.trained} to train on, {photos.held_out} of the {source} split held out,"
        f" {photos.test} to test on; categories: {things} of things, {stuff} of stuff"
    )


def _parameters(plan: Plan, stages: tuple[Stage, ...]) -> str:
    parts = []
    for stage in stages:
        every, trained = _count_parameters(plan, stage)
        named = f"{every / 1e6:.1f} M parameters, {trained / 1e6:.1f} M trained"
        parts.append(named if len(stages) == 1 else f"{stage}: {named}")
    return "; ".join(parts)


def _count_parameters(plan: Plan, stage: Stage) -> tuple[int, int]:
    """Return the numbers of all and of trained parameters; a continued run is not measured."""
    for cost in plan.costs:
        if cost.stage == stage:
            return cost.parameters, cost.trained_parameters
    module = build_module(plan.config.train, plan.splits.classes, stage, pretrained=False)
    parameters = list(module.parameters())
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    return sum(p.numel() for p in parameters), trained


def _time(plan: Plan) -> str:
    """Describe the expected time; a plateau schedule ends earlier than its last epoch."""
    if plan.seconds is None:
        return "unknown until the first epoch is finished"
    if plan.seconds == 0:
        return "the stages that were started are finished"
    if plan.config.train.schedule == "plateau":
        epoch = f", an epoch takes {duration(plan.times[0].epoch)}" if plan.times else ""
        return f"until the score stops rising, at most {duration(plan.seconds)}{epoch}"
    return f"about {duration(plan.seconds)}"
