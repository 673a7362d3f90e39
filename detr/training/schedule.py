"""The learning rate schedule, the end of a stage, and its best epoch.

Everything here depends only on the configuration, the step and the stage's lines of the log, so a
resumed run has no scheduler state to restore.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from detr.config import TrainConfig

SCORES = ("pq", "box_ap")  # an epoch is ranked by the first of these that it has
FLAT, LEAST = 0.5, 0.02  # flat_cosine: fraction of all steps before the decay; final factor
DECAY = 0.5  # plateau: length of the decay, relative to the epochs before it

History = Sequence[dict[str, Any]]  # a stage's lines of `log.jsonl`


def stage_epochs(config: TrainConfig, stage: str, history: History = ()) -> int:
    """Return the number of epochs of a stage; of a plateau schedule, the most that it can have.

    Once the rates of a plateau schedule fall, its number of epochs is known.
    """
    epochs = config.mask_epochs if stage == "masks" else config.epochs
    if config.schedule != "plateau":
        return epochs
    flat = flat_epochs(config, stage, history) or epochs
    return flat + math.ceil(DECAY * flat)


def flat_epochs(config: TrainConfig, stage: str, history: History) -> int | None:
    """Return after how many epochs the rates of a plateau schedule fall; None if they do not yet.

    That is the case after `patience` epochs without improvement, and after `epochs`. Lines of the
    log record the number once the rates fall, so that settings changed later do not change it.
    """
    if config.schedule != "plateau" or not history:
        return None
    if "flat_epochs" in history[-1]:
        return int(history[-1]["flat_epochs"])
    last = int(history[-1]["epoch"])
    most = config.mask_epochs if stage == "masks" else config.epochs
    return last if last >= most or has_stalled(config, history) else None


def rate_factor(
    config: TrainConfig, stage: str, *, step: int, steps_per_epoch: int, flat: int | None = None
) -> float:
    """Return the factor for all learning rates at step 0, 1, 2, ... of a stage.

    `flat` are the epochs before the rates of a plateau schedule fall; None if this is not known.
    """
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    if config.schedule == "plateau":
        falling = (step / steps_per_epoch - flat) / math.ceil(DECAY * flat) if flat else 0.0
        return warmup * _fall(falling)
    progress = min(1.0, step / (steps_per_epoch * stage_epochs(config, stage)))
    if config.schedule == "cosine":
        return warmup * _half_cosine(progress)
    if config.schedule == "flat_cosine":
        return warmup * _fall((progress - FLAT) / (1 - FLAT))
    drop = config.mask_lr_drop if stage == "masks" else config.lr_drop
    return float(warmup * 0.1 ** (step // steps_per_epoch // drop))


def _fall(progress: float) -> float:
    """Fall by half a cosine from 1 to LEAST as progress rises from 0 to 1; 1 before 0."""
    return LEAST + (1 - LEAST) * _half_cosine(min(1.0, max(0.0, progress)))


def _half_cosine(progress: float) -> float:
    """Fall from 1 to 0 as progress rises from 0 to 1."""
    return (1 + math.cos(math.pi * progress)) / 2


def best_epoch(history: History) -> int | None:
    """Return the first epoch with the highest score; of equal scores, with the lowest loss.

    Losses are those of held-out photos. Without scores, only they count. Returns None if there are
    neither.
    """
    ranked = _ranked(history)
    return max(ranked, key=lambda each: each[:2])[2] if ranked else None


def is_finished(config: TrainConfig, stage: str, history: History) -> bool:
    """Return whether a stage has completed all its epochs or stopped early."""
    last = history[-1]["epoch"] if history else 0
    if config.schedule == "plateau":  # instead of stopping, the rates fall
        return last >= stage_epochs(config, stage, history)
    return last >= stage_epochs(config, stage) or has_stalled(config, history)


def has_stalled(config: TrainConfig, history: History) -> bool:
    """Return whether the last `patience` epochs brought no improvement.

    With scores, only epochs that were scored count.
    """
    best, ranked = best_epoch(history), _ranked(history)
    return bool(config.patience and best and ranked[-1][2] - best >= config.patience)


def _ranked(history: History) -> list[tuple[float, float, int]]:
    """Return (score, -loss, epoch) of the epochs that can be compared; score 0 if none has one."""
    lines = [line for line in history if line.get("scores")]
    lines = lines or [line for line in history if _held_out(line)]
    return [(_score(line), -_held_out(line).get("loss", 0.0), line["epoch"]) for line in lines]


def _held_out(line: dict[str, Any]) -> dict[str, float]:
    """Return the losses of held-out photos; empty if there are no such photos."""
    losses: dict[str, float] = line["tune"] if "tune" in line else line["test"]
    return losses


def _score(line: dict[str, Any]) -> float:
    scores = line.get("scores") or {}
    return float(next((scores[name] for name in SCORES if name in scores), 0.0))
