"""`log.jsonl`: one line an epoch; the same for TensorBoard, and as one line to read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor

from base.files import write_bytes
from detr.training.processes import Processes


class Means:
    """Means of named losses over steps, each weighted by its photos; nothing leaves the device."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._sums: Tensor | None = None
        self._weight = 0

    def add(self, losses: dict[str, Tensor], *, weight: int) -> None:
        self._names = list(losses)
        values = torch.stack([value.detach() for value in losses.values()]).double() * weight
        self._sums = values if self._sums is None else self._sums + values
        self._weight += weight

    def values(self, processes: Processes) -> dict[str, float]:
        """The means, of the losses whose parts the processes hold; empty where nothing was added.

        Every process has added the same names and weights.
        """
        if self._sums is None:
            return {}
        means = processes.sum(self._sums) / self._weight
        return dict(zip(self._names, means.tolist(), strict=True))


def write_log(path: Path, lines: list[dict[str, Any]]) -> None:
    """Write all lines, one JSON object each."""
    write_bytes(path, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def write_tensorboard(folder: Path, line: dict[str, Any]) -> None:
    """Add one line of the log; an epoch that is trained again after a kill replaces its first."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from torch.utils.tensorboard import SummaryWriter  # heavy, and used once an epoch only

    with SummaryWriter(str(folder / line["stage"]), purge_step=line["epoch"]) as writer:
        for name, value in _scalars(line):
            writer.add_scalar(name, value, line["epoch"])


def _scalars(line: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """`train/loss`, `test/loss`, `time/data`, `lr`, ...: all numbers of a line."""
    for key, value in line.items():
        if isinstance(value, dict):
            yield from ((f"{key}/{name}", number) for name, number in value.items())
        elif key not in ("stage", "epoch"):
            yield key, value


def summary(line: dict[str, Any], epochs: int) -> str:
    """One epoch in one line: the total of both splits, the parts of the last layer, time left."""
    left = line["seconds"] * (epochs - line["epoch"])
    parts = [f"{line['stage']} {line['epoch']}/{epochs} {line['seconds']:.0f} s"]
    for split in ("train", "test"):
        losses = line[split]
        named = [f"{name.removeprefix('loss_')} {losses[name]:.3f}" for name in _shown(losses)]
        parts.append(f"{split} {' '.join(named)}")
    scores = [f"{name} {100 * value:.1f}" for name, value in line.get("scores", {}).items()]
    parts += [" ".join(scores)] * bool(scores)
    return " | ".join([*parts, f"{duration(left)} left"] if left else parts)


def duration(seconds: float) -> str:
    """Seconds as people say them: 40 s, 12 min, 3 h 05 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


def _shown(losses: dict[str, float]) -> list[str]:
    wanted = ("loss", "loss_ce", "loss_bbox", "loss_giou", "loss_mask", "loss_dice", "class_error")
    return [name for name in wanted if name in losses]
