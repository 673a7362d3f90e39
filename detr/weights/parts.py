"""The parts of a file of weights, checked before anything is built from them.

Such a file may come from anyone: a part can be of another kind than expected, and a few bytes can
claim to be a tensor of many gigabytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import torch
from torch import Tensor

from base.errors import InputError
from detr.config import TrainConfig
from detr.weights.thresholds import SegmentThresholds

State = dict[str, Any]
TENSORS = ("model", "unaveraged", "optimizer")  # the parts of a checkpoint that hold tensors


@dataclass(frozen=True)
class CategoryValues:
    """A category in a checkpoint, with the names of COCO's JSON."""

    id: int
    name: str
    isthing: int
    color: tuple[int, int, int]
    supercategory: str = ""


@dataclass(frozen=True)
class Header:
    """The parts of a checkpoint that hold no tensors."""

    stage: Literal["boxes", "masks", "joint"]
    epoch: int
    trunk_epoch: int
    data_digest: str
    classes: tuple[int, ...]
    categories: tuple[CategoryValues, ...]
    config: TrainConfig
    history: list[dict[str, Any]]
    thresholds: SegmentThresholds | None = None  # earlier versions had none


class _Line(msgspec.Struct):
    """What training needs from a line of the history."""

    epoch: int
    seconds: float
    train: dict[str, float]
    tune: dict[str, float] | None = None
    test: dict[str, float] | None = None
    scores: dict[str, float] | None = None
    flat_epochs: int = 0
    decay_epochs: int = 0


def check_history(history: list[State], *, where: str) -> None:
    """Raise InputError unless these are lines of a training log."""
    for index, line in enumerate(history):
        try:
            kept = msgspec.convert(line, _Line)
        except msgspec.ValidationError as error:
            raise InputError(f"{where}: history[{index}]: {error}") from None
        if kept.tune is None and kept.test is None:
            raise InputError(f"{where}: history[{index}]: expected the key 'test', found none")


def check_tensors(state: Any, *, where: str, most_bytes: int) -> None:
    """Raise InputError unless this is a dict of named tensors that were stored in full.

    A tensor that repeats a few stored values would take more memory than its file when it is
    copied; together, they take at most `most_bytes`, the size of the file.
    """
    if not isinstance(state, dict):
        raise InputError(f"{where}: expected named tensors, found {type(state).__name__}")
    total = 0
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            found = type(value).__name__
            raise InputError(f"{where}: expected named tensors, found '{name}': {found}")
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise InputError(f"{where}: {name}: expected a dense tensor with values")
        total += value.nbytes
        if total > most_bytes:
            raise InputError(
                f"{where}: {name}: expected at most the {most_bytes:,} bytes of the file, found a"
                f" tensor of size {tuple(value.shape)} that repeats its values"
            )


def check_optimizer(state: Any, *, where: str, most_bytes: int) -> None:
    """Raise InputError unless this holds named tensors for each parameter's name."""
    if not isinstance(state, dict):
        raise InputError(
            f"{where}: expected the state of each parameter, found {type(state).__name__}"
        )
    for name, values in state.items():
        check_tensors(values, where=f"{where}: {name}", most_bytes=most_bytes)
