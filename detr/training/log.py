"""`log.jsonl`: one line per epoch; the same numbers for TensorBoard, and a summary to print."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from base.durations import duration
from base.files import write_bytes
from detr.training.processes import Processes


class MeanValues:
    """Weighted means of named values over steps; sums stay on the device until they are read."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._sums: Tensor | None = None
        self._weight = 0

    def add(self, values: dict[str, Tensor], *, weight: int) -> None:
        """Add the values of one step; names are the same in every step."""
        self._names = list(values)
        stacked = torch.stack([value.detach() for value in values.values()]).double() * weight
        self._sums = stacked if self._sums is None else self._sums + stacked
        self._weight += weight

    def compute(self, processes: Processes) -> dict[str, float]:
        """Return the means by name; empty if nothing was added.

        Each process must have added its part of every value, with the same names and weights.
        """
        if self._sums is None:
            return {}
        means = processes.sum(self._sums) / self._weight
        return dict(zip(self._names, means.tolist(), strict=True))


def write_log(path: Path, lines: list[dict[str, Any]]) -> None:
    """Write all lines, one JSON object each; they survive a power cut."""
    text = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    write_bytes(path, text, durable=True)


def write_tensorboard(folder: Path, line: dict[str, Any]) -> None:
    """Write one line of the log, replacing what an interrupted run wrote for that epoch."""
    with _quiet_tensorflow():
        from torch.utils.tensorboard import SummaryWriter  # slow to import

    with SummaryWriter(str(folder / line["stage"]), purge_step=line["epoch"]) as writer:
        for name, value in _scalars(line):
            writer.add_scalar(name, value, line["epoch"])


@contextmanager
def _quiet_tensorflow() -> Iterator[None]:
    """Hide the messages that TensorFlow, if installed, prints when TensorBoard imports it."""
    name = "TF_CPP_MIN_LOG_LEVEL"
    before = os.environ.get(name)
    os.environ.setdefault(name, "3")
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


def _scalars(line: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield all numbers of a line as `train/loss`, `test/loss`, `time/data`, `lr`, ..."""
    for key, value in line.items():
        if isinstance(value, dict):
            yield from ((f"{key}/{name}", number) for name, number in value.items())
        elif key not in ("stage", "epoch", "flat_epochs", "decay_epochs"):
            yield key, value


def summary(line: dict[str, Any], epochs: int, *, at_most: bool = False) -> str:
    """Return one epoch as text: losses of both splits, scores, and the stage's remaining time.

    `at_most` is True if the stage may have fewer epochs.
    """
    left = line["seconds"] * (epochs - line["epoch"])
    parts = [f"{line['stage']} {line['epoch']}/{epochs} {line['seconds']:.0f} s"]
    for split in ("train", "tune", "test"):
        losses = line.get(split, {})
        named = [f"{name.removeprefix('loss_')} {losses[name]:.3f}" for name in _shown(losses)]
        parts += [f"{split} {' '.join(named)}"] * bool(named)
    scores = [f"{name} {100 * value:.1f}" for name, value in line.get("scores", {}).items()]
    parts += [" ".join(scores)] * bool(scores)
    remaining = f"{'at most ' * at_most}{duration(left)} left"
    return " | ".join([*parts, remaining] if left else parts)


def _shown(losses: dict[str, float]) -> list[str]:
    """Return the names of the values to print; losses of earlier decoder layers are left out."""
    parts = ("ce", "bbox", "giou", "mask", "dice", "presence")
    shown = ["loss", *(f"loss_{part}" for part in parts), "class_error"]
    return [name for name in shown if name in losses]
