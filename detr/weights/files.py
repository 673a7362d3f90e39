"""Weights files: reading them without running code, and inferring the model that they fit."""

from __future__ import annotations

import re
import zipfile
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from base.errors import InputError
from base.files import check_regular
from detr.config import TrainConfig
from detr.weights.parts import State, check_tensors

MOST_BYTES = 1 << 36  # of a file of weights: 64 GB
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


def read_torch(path: Path, *, lazily: bool = False) -> dict[str, Any]:
    """Load a dict saved by torch to the CPU, without running any code in the file.

    With `lazily`, tensors are not read before they are used. Raises InputError if the file cannot
    be read, contains anything but plain values, or would take more memory than its own size.
    """
    _check_file(path)
    try:
        # DETR's authors save the command line with the weights; a Namespace only holds values
        with torch.serialization.safe_globals([Namespace]):
            values = torch.load(path, map_location="cpu", weights_only=True, mmap=lazily)
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


def _check_file(path: Path) -> None:
    """Raise InputError unless this is a regular file, whose parts, if any, are not compressed."""
    try:
        check_regular(path, most_bytes=MOST_BYTES)
        with zipfile.ZipFile(path) as parts:
            size = sum(part.file_size for part in parts.infolist())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception:  # torch's older format, or a damaged file, which torch.load reports
        return
    if size > path.stat().st_size:  # torch stores parts uncompressed, and each of them once
        found = f"parts of {size:,} bytes in a file of {path.stat().st_size:,}"
        raise InputError(f"{path}: is not a checkpoint: expected uncompressed parts, found {found}")


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
    check_tensors(state, where=f"{path}: model", most_bytes=path.stat().st_size)
    command_line = values.get("args")
    arguments = vars(command_line) if isinstance(command_line, Namespace) else {}
    if dilation is None:
        dilation = bool(arguments.get("dilation", "dc5" in path.name.lower()))
    nheads = arguments.get("nheads", 8)
    if not isinstance(nheads, int):
        raise InputError(f"{path}: args: nheads: expected an integer, found {nheads!r:.40}")
    has_masks = any(name.startswith("detr.") for name in state)
    boxes = {n.removeprefix("detr."): v for n, v in state.items()} if has_masks else state
    config = _config(boxes, str(path), dilation=dilation, nheads=nheads)
    return Weights(str(path), state, config, len(boxes["class_embed.weight"]) - 1, has_masks)


def _config(boxes: State, where: str, *, dilation: bool, nheads: int) -> TrainConfig:
    """Return the configuration inferred from the shapes of a box model's weights."""

    def shape(name: str, dimensions: int = 2) -> torch.Size:
        if name not in boxes or boxes[name].dim() != dimensions:
            raise InputError(
                f"{where}: expected DETR weights, with {name} of {dimensions} dimensions, found"
                f" {_first(boxes)}"
            )
        size: torch.Size = boxes[name].shape
        return size

    num_queries, hidden_dim = shape("query_embed.weight")
    shape("class_embed.weight")
    mask_input = "mask_head.lay1.weight"  # for features and one attention map per head
    try:
        return TrainConfig(
            backbone=_backbone(boxes, where),
            dilation=dilation,
            position_embedding="learned" if "backbone.1.row_embed.weight" in boxes else "sine",
            enc_layers=_count(boxes, r"transformer\.encoder\.layers\.(\d+)\."),
            dec_layers=_count(boxes, r"transformer\.decoder\.layers\.(\d+)\."),
            dim_feedforward=shape("transformer.encoder.layers.0.linear1.weight")[0],
            hidden_dim=hidden_dim,
            nheads=shape(mask_input, 4)[1] - hidden_dim if mask_input in boxes else nheads,
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
    """Load every tensor of `state`. Raises InputError as `check_fits` does."""
    check_fits(model, state, where=where)
    model.load_state_dict({name: state[name] for name in _given(state)})


def check_fits(model: nn.Module, state: State, *, where: str) -> None:
    """Check that `state` has the tensors of a model, which may be on the device "meta".

    Raises InputError, with the first names, if tensors are missing, unknown or of the wrong shape.
    """
    expected = {name: value.shape for name, value in model.state_dict().items()}
    given = _given(state)
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


def _given(state: State) -> dict[str, torch.Size]:
    """Return the shapes of the tensors, without the counters that frozen batch norm lacks."""
    return {n: v.shape for n, v in state.items() if not n.endswith(".num_batches_tracked")}


def _first(names: Iterable[str]) -> str:
    """Return the first few names of tensors, as text."""
    listed = list(names)
    if not listed:
        return "no tensors"
    return ", ".join(listed[:MAX_NAMES]) + (", ..." if len(listed) > MAX_NAMES else "")
