"""Own classes on weights of others: what fits is kept, classes go by name, the rest is fresh."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from detr.data.classes import ClassTable, published_classes
from detr.model.detr import DETR
from detr.model.segmentation import DETRsegm
from detr.weights.checkpoint import load_checkpoint
from detr.weights.files import State, read_torch, read_weights
from detr.weights.published import find_weights

PUBLISHED_CLASSES = (91, 250)  # of boxes and of panoptic weights
BODY = "backbone.0."  # kept whole or not at all: layers of two networks do not mix
QUERIES = "query_embed.weight"
CLASS_ROWS = ("class_embed.weight", "class_embed.bias")


@dataclass(frozen=True)
class Start:
    """Weights to start from: names without "detr."; `classes` has a name a class, "" unknown."""

    where: str
    state: State
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """A part of the model: how many of its tensors were kept, and what is special about it."""

    name: str
    kept: int
    total: int
    note: str = ""


@dataclass(frozen=True)
class Started:
    """What was done; `classes` pairs each of the data set's with where it starts, "" fresh."""

    where: str
    parts: tuple[Part, ...]
    classes: tuple[tuple[str, str], ...]

    @property
    def has_backbone(self) -> bool:
        """Whether the backbone was kept, where there was one to keep."""
        return all(part.kept for part in self.parts if part.name == BODY.rstrip("."))

    def lines(self) -> list[str]:
        """The table to print."""
        rows = [f"start from {self.where}"]
        for part in self.parts:
            how = "kept" if part.kept == part.total else "fresh" if not part.kept else "in part"
            told = [f"{how:8} {part.kept} of {part.total} tensors"] * (part.name != "class_embed")
            told += [part.note] * bool(part.note)
            rows.append(f"  {part.name:22} {'; '.join(told)}")
        for name, source in self.classes:
            rows.append(f"  class {name:16} {f'from {source}' if source else 'fresh'}")
        return rows


def read_start(source: str | Path) -> Start:
    """Weights of a published name, a published file or a checkpoint of this project."""
    path = find_weights(source)
    if "stage" in read_torch(path):
        own = load_checkpoint(path)
        state, table = own.model, own.classes
    else:
        weights = read_weights(path)
        state, count = weights.state, weights.num_classes
        # others' weights do not tell what their classes are
        known = count in PUBLISHED_CLASSES
        table = published_classes(count) if known else ClassTable((), tuple(range(count)))
    found = (table.category(index) for index in range(len(table)))
    names = tuple(category.name if category else "" for category in found)
    return Start(str(path), {n.removeprefix("detr."): v for n, v in state.items()}, names)


@torch.no_grad()
def start_from(
    model: DETR | DETRsegm, start: Start, classes: ClassTable, *, trunk: bool = True
) -> Started:
    """Bring what fits of `start` into a fresh `model`, before its optimiser is made.

    Without `trunk` only the mask head is changed: the masks stage builds on its run's own boxes.
    """
    own = {name.removeprefix("detr."): value for name, value in model.state_dict().items()}
    if not trunk:
        own = {n: v for n, v in own.items() if n.startswith(("bbox_attention.", "mask_head."))}
    whole_body = _fits_whole(own, start.state)
    parts = []
    for name, group in groupby(own, key=_part_of):
        tensors = list(group)
        fits = whole_body or not tensors[0].startswith(BODY)
        kept = sum(fits and _keep(own, start.state, tensor) for tensor in tensors)
        parts.append(Part(name, kept, len(tensors), _note(name, own, start.state)))
    return Started(start.where, tuple(parts), _keep_classes(own, start, classes) if trunk else ())


def _part_of(name: str) -> str:
    first, second, *_ = name.split(".")
    return f"{first}.{second}" if first in ("backbone", "transformer") else first


def _fits_whole(own: State, given: State) -> bool:
    names = [name for name in own if name.startswith(BODY)]
    return all(name in given and given[name].shape == own[name].shape for name in names)


def _keep(own: State, given: State, name: str) -> bool:
    """Copy one tensor if it fits; of queries as many as there are, of classes none yet."""
    if name not in given or name in CLASS_ROWS:
        return False
    value: Tensor = given[name]
    if name == QUERIES and value.shape[1] == own[name].shape[1]:
        rows = min(len(value), len(own[name]))
        own[name][:rows] = value[:rows]
        return True
    if value.shape != own[name].shape:
        return False
    own[name].copy_(value)
    return True


def _note(part: str, own: State, given: State) -> str:
    if part == "query_embed" and QUERIES in given:
        (count, width), (wanted, own_width) = given[QUERIES].shape, own[QUERIES].shape
        some = width == own_width and count != wanted
        return f"{min(count, wanted)} of {wanted} queries" if some else ""
    return "rows by class, below" if part == "class_embed" else ""


def _keep_classes(own: State, start: Start, classes: ClassTable) -> tuple[tuple[str, str], ...]:
    """Copy the rows of classes that have the same name, and of no-object, the last one."""
    rows = {_plain(name): index for index, name in enumerate(start.classes) if name}
    fits = all(
        n in start.state and start.state[n].shape[1:] == own[n].shape[1:] for n in CLASS_ROWS
    )
    pairs = []
    for index in range(len(classes)):
        category = classes.category(index)
        name = category.name if category else ""
        row = rows.get(_plain(name)) if fits else None
        pairs.append((name, "" if row is None else start.classes[row]))
        for tensor in CLASS_ROWS if row is not None else ():
            own[tensor][index] = start.state[tensor][row]
    for tensor in CLASS_ROWS if fits else ():
        own[tensor][-1] = start.state[tensor][-1]
    return tuple(pairs)


def _plain(name: str) -> str:
    """A name as it is compared: "Traffic-Light" is "traffic light"."""
    return name.casefold().replace("-", " ").replace("_", " ").strip()
