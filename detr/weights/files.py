"""Weights files: reading them without running code, and inferring the model that they fit."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from base.errors import InputError
from detr.config import TrainConfig

State = dict[str, Any]
RESNETS = {  # by whether blocks are bottlenecks, and by the number of blocks in the third stage
    (False, 2): "resnet18",
    (False, 6): "resnet34",
    (True, 6): "resnet50",
    (True, 23): "resnet101",
    (True, 36): "resnet152",
}
MAX_NAMES = 3  # of parameters, in an error message


@dataclass(frozen=True)
class Weights:
    """A DETR state dict and the configuration that it fits; `where` is the path of its file."""

    where: str
    state: State
    config: TrainConfig
    num_classes: int
    has_masks: bool


def read_torch(path: Path) -> dict[str, Any]:
    """Load a dict saved by torch to the CPU, without running any code in the file.

    Raises InputError if the file cannot be read or contains anything but plain values.
    """
    try:
        # DETR's authors save the command line with the weights; a Namespace only holds values
        with torch.serialization.safe_globals([Namespace]):
            values = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # other kinds of files can cause any exception
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        if "weights_only" in reason:  # torch's advice would run the code in the file
            reason = "it contains more than plain values, or is damaged"
        raise InputError(
            f"{path}: is not a checkpoint: expected a file written by torch.save ({reason})"
        ) from None
    if not isinstance(values, dict):
        found = type(values).__name__
        raise InputError(f"{path}: is not a checkpoint: expected a dict, found {found}")
    return values


def read_weights(path: Path, *, dilation: bool | None = None) -> Weights:
    """Read a weights file; see `find_model`."""
    return find_model(read_torch(path), path, dilation=dilation)


def find_model(values: dict[str, Any], path: Path, *, dilation: bool | None = None) -> Weights:
    """Infer the model that a state dict fits: `values`, or as published, its item "model".

    The shapes of the weights do not show `dilation` (DC5) and, without a mask head, `nheads`. Both
    are taken from the command line that DETR's authors save with the weights. Without it, `nheads`
    is 8 and `dilation` is set if the file name contains "dc5". An argument that is not None takes
    precedence. Raises InputError if these are not DETR weights.
    """
    state = values.get("model", values)
    _check_state(state, where=str(path))
    command_line = values.get("args")
    arguments = vars(command_line) if isinstance(command_line, Namespace) else {}
    if dilation is None:
        dilation = bool(arguments.get("dilation", "dc5" in path.name.lower()))
    has_masks = any(name.startswith("detr.") for name in state)
    boxes = {n.removeprefix("detr."): v for n, v in state.items()} if has_masks else state
    config = _config(boxes, str(path), dilation=dilation, nheads=int(arguments.get("nheads", 8)))
    return Weights(str(path), state, config, len(boxes["class_embed.weight"]) - 1, has_masks)


def _check_state(state: Any, *, where: str) -> None:
    """Raise InputError unless this is a dict of named tensors."""
    if not isinstance(state, dict) or not state:
        found = type(state).__name__
        raise InputError(f"{where}: model: expected named tensors, found {found}")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            found = type(value).__name__
            raise InputError(f"{where}: expected named tensors, found '{name}': {found}")


def _config(boxes: State, where: str, *, dilation: bool, nheads: int) -> TrainConfig:
    """Return the configuration inferred from the shapes of a box model's weights."""

    def shape(name: str) -> torch.Size:
        if name not in boxes or boxes[name].dim() != 2:
            raise InputError(
                f"{where}: expected DETR weights, with the matrix {name}, found {_first(boxes)}"
            )
        size: torch.Size = boxes[name].shape
        return size

    num_queries, hidden_dim = shape("query_embed.weight")
    shape("class_embed.weight")
    mask_input = boxes.get("mask_head.lay1.weight")  # for features and one attention map per head
    try:
        return TrainConfig(
            backbone=_backbone(boxes, where),
            dilation=dilation,
            position_embedding="learned" if "backbone.1.row_embed.weight" in boxes else "sine",
            enc_layers=_count(boxes, r"transformer\.encoder\.layers\.(\d+)\."),
            dec_layers=_count(boxes, r"transformer\.decoder\.layers\.(\d+)\."),
            dim_feedforward=shape("transformer.encoder.layers.0.linear1.weight")[0],
            hidden_dim=hidden_dim,
            nheads=nheads if mask_input is None else mask_input.shape[1] - hidden_dim,
            num_queries=num_queries,
            pre_norm="transformer.encoder.norm.weight" in boxes,
        )
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


def _backbone(boxes: State, where: str) -> str:
    body = "backbone.0.body."
    if f"{body}_conv_stem.weight" in boxes:
        return "efficientnet_lite0"
    blocks = _count(boxes, r"backbone\.0\.body\.layer3\.(\d+)\.")
    bottleneck = f"{body}layer3.0.conv3.weight" in boxes
    if (bottleneck, blocks) not in RESNETS:
        found = _first(n for n in boxes if n.startswith("backbone.")) or "none"
        raise InputError(f"{where}: backbone: expected ResNet or EfficientNet-Lite0, found {found}")
    return RESNETS[bottleneck, blocks]


def _count(names: Iterable[str], pattern: str) -> int:
    """Return the number of different values that the pattern's group matches."""
    matches = (re.match(pattern, name) for name in names)
    return len({match[1] for match in matches if match})


def load_strictly(model: nn.Module, state: State, *, where: str) -> None:
    """Load every tensor of `state`.

    Raises InputError, with the first names, if tensors are missing, unknown or of the wrong shape.
    """
    expected = {name: value.shape for name, value in model.state_dict().items()}
    # without batch norm's counters, which frozen batch norm does not use
    given = {n: v.shape for n, v in state.items() if not n.endswith(".num_batches_tracked")}
    problems = {
        "missing": [name for name in expected if name not in given],
        "unknown": [name for name in given if name not in expected],
        "of the wrong shape": [
            f"{name} (expected {tuple(expected[name])}, found {tuple(given[name])})"
            for name in expected
            if name in given and expected[name] != given[name]
        ],
    }
    if any(problems.values()):
        found = [
            f"{len(names)} {kind}: {_first(names)}" for kind, names in problems.items() if names
        ]
        raise InputError(f"{where}: weights do not fit the model: {'; '.join(found)}")
    model.load_state_dict({name: state[name] for name in given})


def _first(names: Iterable[str]) -> str:
    """Return the first few names, as text."""
    listed = list(names)
    return ", ".join(listed[:MAX_NAMES]) + (", ..." if len(listed) > MAX_NAMES else "")
