"""Files of weights: read without running what they hold, and the model that they are of."""

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
RESNETS = {  # whether blocks are bottlenecks, blocks of the third stage
    (False, 2): "resnet18",
    (False, 6): "resnet34",
    (True, 6): "resnet50",
    (True, 23): "resnet101",
    (True, 36): "resnet152",
}
NAMED = 3  # names in a message


@dataclass(frozen=True)
class Weights:
    """A DETR's state dict and the configuration that it fits; `where` is its file."""

    where: str
    state: State
    config: TrainConfig
    num_classes: int
    has_masks: bool


def read_torch(path: Path) -> dict[str, Any]:
    """Read a dict that torch saved, to the CPU; the file can hold numbers and words, no code."""
    try:
        # the reference keeps its command line beside the weights; a Namespace only holds values
        with torch.serialization.safe_globals([Namespace]):
            plain = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # what is no such file can fail in any way
        first = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        if "weights_only" in first:  # torch's advice is to run what the file holds
            first = "it holds more than numbers and words, or is damaged"
        raise InputError(
            f"{path}: is no checkpoint: expected a file of torch.save ({first})"
        ) from None
    if not isinstance(plain, dict):
        raise InputError(f"{path}: is no checkpoint: expected a dict, got {type(plain).__name__}")
    return plain


def read_weights(path: Path, *, dilation: bool | None = None) -> Weights:
    """Read a state dict, bare or under "model" as published, and tell its model from it.

    Only `dilation` (DC5) leaves no trace in the shapes: where it is None, it is taken from the
    command line that the reference keeps in its checkpoints, else from "dc5" in the file's name.
    """
    plain = read_torch(path)
    state = plain.get("model", plain)
    _check_state(state, where=str(path))
    told = plain.get("args")
    arguments = vars(told) if isinstance(told, Namespace) else {}
    if dilation is None:
        dilation = bool(arguments.get("dilation", "dc5" in path.name.lower()))
    has_masks = any(name.startswith("detr.") for name in state)
    boxes = {n.removeprefix("detr."): v for n, v in state.items()} if has_masks else state
    config = _config(boxes, str(path), dilation=dilation, nheads=int(arguments.get("nheads", 8)))
    return Weights(str(path), state, config, len(boxes["class_embed.weight"]) - 1, has_masks)


def _check_state(state: Any, *, where: str) -> None:
    """InputError where this is not a dict of tensors by name."""
    if not isinstance(state, dict) or not state:
        raise InputError(f"{where}: model: expected tensors by name, got {type(state).__name__}")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            got = type(value).__name__
            raise InputError(f"{where}: expected tensors by name, got '{name}': {got}")


def _config(boxes: State, where: str, *, dilation: bool, nheads: int) -> TrainConfig:
    """The configuration that the shapes of a box model tell."""

    def shape(name: str) -> torch.Size:
        if name not in boxes or boxes[name].dim() != 2:
            raise InputError(
                f"{where}: are no weights of a DETR: expected the matrix {name};"
                f" found {_some(boxes)}"
            )
        size: torch.Size = boxes[name].shape
        return size

    num_queries, hidden_dim = shape("query_embed.weight")
    shape("class_embed.weight")
    mask_input = boxes.get("mask_head.lay1.weight")  # features and one map a head
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
        found = _some(n for n in boxes if n.startswith("backbone.")) or "none"
        raise InputError(f"{where}: backbone: expected a ResNet, found {found}")
    return RESNETS[bottleneck, blocks]


def _count(names: Iterable[str], pattern: str) -> int:
    """How many different numbers stand at the pattern's group."""
    found = (re.match(pattern, name) for name in names)
    return len({match[1] for match in found if match})


def load_strictly(model: nn.Module, state: State, *, where: str) -> None:
    """Load every tensor of `state`; InputError names the first ones that are amiss."""
    wanted = {name: value.shape for name, value in model.state_dict().items()}
    # counters of batch norm, which a frozen one has no use for
    given = {n: v.shape for n, v in state.items() if not n.endswith(".num_batches_tracked")}
    amiss = {
        "missing": [name for name in wanted if name not in given],
        "unknown": [name for name in given if name not in wanted],
        "of another shape": [
            f"{name} (expected {tuple(wanted[name])}, got {tuple(given[name])})"
            for name in wanted
            if name in given and wanted[name] != given[name]
        ],
    }
    if any(amiss.values()):
        told = [f"{len(names)} {how}: {_some(names)}" for how, names in amiss.items() if names]
        raise InputError(f"{where}: weights do not fit the model: {'; '.join(told)}")
    model.load_state_dict({name: state[name] for name in given})


def _some(names: Iterable[str]) -> str:
    """The first names of many."""
    every = list(names)
    return ", ".join(every[:NAMED]) + (", ..." if len(every) > NAMED else "")
