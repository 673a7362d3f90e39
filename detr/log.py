"""`log.jsonl`: one line an epoch, and the same as one line to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from torch import Tensor

from annotation.files import write_bytes


class Means:
    """Running means of named losses over batches, each weighted by its photos."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._weight = 0

    def add(self, losses: dict[str, Tensor], *, weight: int) -> None:
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.item() * weight
        self._weight += weight

    def values(self) -> dict[str, float]:
        """The means; empty where nothing was added."""
        return {name: total / self._weight for name, total in self._sums.items()}


def write_log(path: Path, lines: list[dict[str, Any]]) -> None:
    """Write all lines, one JSON object each."""
    write_bytes(path, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


def summary(line: dict[str, Any], epochs: int) -> str:
    """One epoch in one line: the total of both splits and the parts of the last layer."""
    parts = [f"{line['stage']} {line['epoch']}/{epochs} {line['seconds']:.0f} s"]
    for split in ("train", "test"):
        losses = line[split]
        named = [f"{name.removeprefix('loss_')} {losses[name]:.3f}" for name in _shown(losses)]
        parts.append(f"{split} {' '.join(named)}")
    return " | ".join(parts)


def _shown(losses: dict[str, float]) -> list[str]:
    wanted = ("loss", "loss_ce", "loss_bbox", "loss_giou", "loss_mask", "loss_dice", "class_error")
    return [name for name in wanted if name in losses]
