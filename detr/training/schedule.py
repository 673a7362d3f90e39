"""How the rates fall, and which epoch is the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from detr.config import TrainConfig

SCORES = ("pq", "box_ap")  # the first that an epoch has is what it is judged by


def stage_epochs(config: TrainConfig, stage: str) -> int:
    """Epochs that a stage is trained for."""
    return config.mask_epochs if stage == "masks" else config.epochs


def rate_factor(config: TrainConfig, stage: str, *, step: int, steps_an_epoch: int) -> float:
    """What the rates of step 0, 1, 2, ... of a stage are multiplied by.

    A function of the step alone: there is no state that a stop could lose.
    """
    warm = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    if config.schedule == "cosine":
        done = step / (steps_an_epoch * stage_epochs(config, stage))
        return warm * (1 + math.cos(math.pi * min(1.0, done))) / 2
    drop = config.mask_lr_drop if stage == "masks" else config.lr_drop
    return float(warm * 0.1 ** (step // steps_an_epoch // drop))


def best_epoch(history: Sequence[dict[str, Any]]) -> int | None:
    """The epoch with the best score; where nothing is scored, that with the least test loss."""
    scored = [(_score(line), line["epoch"]) for line in history if line.get("scores")]
    if not scored:
        tested = [line for line in history if line["test"]]
        scored = [(-line["test"]["loss"], line["epoch"]) for line in tested]
    return max(scored, key=lambda pair: pair[0])[1] if scored else None  # the first of equals


def best_score(history: Sequence[dict[str, Any]]) -> float | None:
    """The best score; None where nothing is scored."""
    return max((_score(line) for line in history if line.get("scores")), default=None)


def stopped_early(config: TrainConfig, history: Sequence[dict[str, Any]]) -> bool:
    """Whether the last `patience` epochs brought nothing better."""
    best = best_epoch(history)
    return bool(config.patience and best and history[-1]["epoch"] - best >= config.patience)


def _score(line: dict[str, Any]) -> float:
    scores = line["scores"]
    return float(next(scores[name] for name in SCORES if name in scores))
