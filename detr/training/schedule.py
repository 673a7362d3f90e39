"""The learning rate schedule, the end of a stage, and its best epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from detr.config import TrainConfig

SCORES = ("pq", "box_ap")  # an epoch is ranked by the first of these that it has
FLAT, LEAST = 0.5, 0.02  # flat_cosine: fraction of all steps before the decay; final factor


def stage_epochs(config: TrainConfig, stage: str) -> int:
    """Return the number of epochs of a stage."""
    return config.mask_epochs if stage == "masks" else config.epochs


def rate_factor(config: TrainConfig, stage: str, *, step: int, steps_per_epoch: int) -> float:
    """Return the factor for all learning rates at step 0, 1, 2, ... of a stage.

    It depends only on the step, so a resumed run has no scheduler state to restore.
    """
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    progress = min(1.0, step / (steps_per_epoch * stage_epochs(config, stage)))
    if config.schedule == "cosine":
        return warmup * _half_cosine(progress)
    if config.schedule == "flat_cosine":
        falling = max(0.0, (progress - FLAT) / (1 - FLAT))
        return warmup * (LEAST + (1 - LEAST) * _half_cosine(falling))
    drop = config.mask_lr_drop if stage == "masks" else config.lr_drop
    return float(warmup * 0.1 ** (step // steps_per_epoch // drop))


def _half_cosine(progress: float) -> float:
    """Fall from 1 to 0 as progress rises from 0 to 1."""
    return (1 + math.cos(math.pi * progress)) / 2


def best_epoch(history: Sequence[dict[str, Any]]) -> int | None:
    """Return the first epoch with the highest score or, without scores, the lowest test loss.

    Returns None if there are neither scores nor test losses.
    """
    ranked = [(_score(line), line["epoch"]) for line in history if line.get("scores")]
    if not ranked:
        tested = [line for line in history if line["test"]]
        ranked = [(-line["test"]["loss"], line["epoch"]) for line in tested]
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None  # the first if equal


def is_finished(config: TrainConfig, stage: str, history: Sequence[dict[str, Any]]) -> bool:
    """Return whether a stage has completed all its epochs or stopped early."""
    last = history[-1]["epoch"] if history else 0
    return last >= stage_epochs(config, stage) or stopped_early(config, history)


def stopped_early(config: TrainConfig, history: Sequence[dict[str, Any]]) -> bool:
    """Return whether the last `patience` epochs brought no improvement."""
    best = best_epoch(history)
    return bool(config.patience and best and history[-1]["epoch"] - best >= config.patience)


def _score(line: dict[str, Any]) -> float:
    scores = line["scores"]
    return float(next(scores[name] for name in SCORES if name in scores))
