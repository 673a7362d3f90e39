"""The learning rate schedule, the end of a stage, and its best epoch.

Everything here depends only on the configuration, the step and the stage's lines of the log, so a
resumed run has no scheduler state to restore.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from detr.config import TrainConfig

SCORES = ("pq", "box_ap")  # an epoch is ranked by the first of these that it has
FLAT, LEAST = 0.5, 0.02  # flat_cosine: fraction of all steps before the decay; final factor
DECAY = 0.5  # plateau: length of the decay, relative to the epochs before it

History = Sequence[dict[str, Any]]  # a stage's lines of `log.jsonl`


@dataclass(frozen=True)
class Decay:
    """When the rates fall: over `epochs` epochs, after `start` epochs."""

    start: int
    epochs: int


def stage_epochs(config: TrainConfig, stage: str, history: History = ()) -> int:
    """Return the number of epochs of a stage.

    Until the rates fall, it is an estimate with a timed schedule, and with a plateau schedule the
    most that the stage can have.
    """
    epochs = config.mask_epochs if stage == "masks" else config.epochs
    decay = find_decay(config, stage, history)
    if decay:
        return decay.start + decay.epochs
    if config.schedule == "timed":
        return len(history) + _epochs_left(config, history) if history else epochs
    return epochs + math.ceil(DECAY * epochs) if config.schedule == "plateau" else epochs


def find_decay(config: TrainConfig, stage: str, history: History) -> Decay | None:
    """Return when the rates of a plateau or timed schedule fall; None if this is not known yet.

    With a plateau schedule, they fall after `patience` epochs without improvement, and after
    `epochs`; with a timed one, as soon as no more epochs are left than are finished. Lines of the
    log record it once the rates fall, so that settings changed later do not change it.
    """
    if config.schedule not in ("plateau", "timed"):
        return None
    most = config.mask_epochs if stage == "masks" else config.epochs
    if not history:
        return Decay(0, 1) if config.schedule == "timed" and most == 1 else None
    last = int(history[-1]["epoch"])
    flat = history[-1].get("flat_epochs")
    if config.schedule == "plateau":
        if flat is None and last < most and not has_stalled(config, history):
            return None
        flat = last if flat is None else int(flat)
        return Decay(flat, math.ceil(DECAY * flat))
    if flat is not None:
        return Decay(int(flat), int(history[-1]["decay_epochs"]))
    left = _epochs_left(config, history)
    return Decay(last, left) if left <= last else None


def _epochs_left(config: TrainConfig, history: History) -> int:
    """Return how many more epochs fit into the time of a timed schedule, at least 1."""
    spent = sum(line["seconds"] for line in history)
    return max(1, int((config.train_time - spent) / (spent / len(history))))


def rate_factor(
    config: TrainConfig, stage: str, *, step: int, steps_per_epoch: int, decay: Decay | None = None
) -> float:
    """Return the factor for all learning rates at step 0, 1, 2, ... of a stage.

    `decay` is when the rates of a plateau or timed schedule fall; None if this is not known yet.
    """
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    if config.schedule in ("plateau", "timed"):
        epochs = step / steps_per_epoch
        return warmup * (_fall((epochs - decay.start) / decay.epochs) if decay else 1.0)
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
    if config.schedule in ("plateau", "timed"):  # the rates fall before the stage ends
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
