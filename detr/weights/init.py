"""Initialising a model from other weights: tensors that fit are copied, class rows by name.

Between the two variants, only the backbone is copied, because nothing else has the same name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor

from detr.data.classes import ClassTable, published_classes
from detr.data.kinds import kinds_of
from detr.model.detr import DETR
from detr.model.fast.detr import FastDETR, category_rows
from detr.model.segmentation import DETRsegm
from detr.weights.building import check_model
from detr.weights.checkpoint import Checkpoint, load_any
from detr.weights.parts import State
from detr.weights.published import find_weights

PUBLISHED_CLASSES = (91, 250)  # of box weights and of panoptic weights
BODY = "backbone.0."  # copied completely or not at all: layers of two networks cannot be mixed
QUERIES = "query_embed.weight"
CLASS_ROWS = ("class_embed.weight", "class_embed.bias")  # the last row is that of no-object
SEE_CLASSES = "see the classes below"
Rows = Mapping[str, Sequence[int]]  # of tensors with a row per class: the class index of each row


@dataclass(frozen=True)
class InitialWeights:
    """Initial weights, named without "detr."; `classes` holds class names, "" if unknown."""

    where: str
    state: State
    classes: tuple[str, ...]
    rows: Rows


@dataclass(frozen=True)
class CopiedPart:
    """A part of the model and how many of its tensors were copied, with a note about them."""

    name: str
    copied: int
    total: int
    note: str = ""


@dataclass(frozen=True)
class CopyReport:
    """What was copied; `classes` pairs each class with the class it was copied from, or ""."""

    where: str
    parts: tuple[CopiedPart, ...]
    classes: tuple[tuple[str, str], ...]

    @property
    def has_backbone(self) -> bool:
        """Whether the backbone was copied, or only the mask head was to be copied."""
        return all(part.copied for part in self.parts if part.name == BODY.rstrip("."))

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        rows = [f"initial weights: {self.where}"]
        for part in self.parts:
            whole = part.copied == part.total
            state = "copied" if whole else "partly copied" if part.copied else "random"
            counts = [f"{state:14} {part.copied} of {part.total} tensors"]
            notes = [part.note] * bool(part.note)
            shown = counts * (part.note != SEE_CLASSES) + notes
            rows.append(f"  {part.name:22} {'; '.join(shown)}")
        for name, source in self.classes:
            rows.append(f"  class {name:16} {f'copied from {source}' if source else 'random'}")
        return rows


def read_initial_weights(source: str | Path) -> InitialWeights:
    """Read published weights by name, a weights file, or a checkpoint of this project.

    Raises InputError if `source` is none of these, or if its tensors do not fit its own model.
    """
    path = find_weights(source)
    loaded = load_any(path)
    if isinstance(loaded, Checkpoint):
        state, table = loaded.model, loaded.classes
        rows = _rows_of_checkpoint(loaded)
    else:
        state, count = loaded.state, loaded.num_classes
        # weights of other projects do not contain class names
        known = count in PUBLISHED_CLASSES
        table = published_classes(count) if known else ClassTable((), tuple(range(count)))
        rows = _rows_of_detr(count)
    check_model(loaded, table, where=str(path))
    named = {n.removeprefix("detr."): v for n, v in state.items()}
    return InitialWeights(str(path), named, class_names(table), rows)


def _rows_of_detr(classes: int) -> Rows:
    return dict.fromkeys(CLASS_ROWS, range(classes))


def _rows_of_checkpoint(checkpoint: Checkpoint) -> Rows:
    if checkpoint.config.variant != "fast":
        return _rows_of_detr(len(checkpoint.classes))
    return category_rows(checkpoint.model, kinds_of(checkpoint.classes))


def class_names(table: ClassTable) -> tuple[str, ...]:
    """Return the name of each class, "" for a class without a category."""
    found = (table.category(index) for index in range(len(table)))
    return tuple(category.name if category else "" for category in found)


@torch.no_grad()
def copy_weights(
    model: DETR | DETRsegm | FastDETR,
    initial: InitialWeights,
    classes: ClassTable,
    *,
    trunk: bool = True,
) -> CopyReport:
    """Copy the tensors of `initial` that fit into a new `model`, before its optimiser is built.

    Without `trunk`, only the mask head is changed, because the masks stage uses the box model of
    its own run.
    """
    own = {name.removeprefix("detr."): value for name, value in model.state_dict().items()}
    if not trunk:
        own = {n: v for n, v in own.items() if n.startswith(("bbox_attention.", "mask_head."))}
    rows = _rows_of_detr(len(classes))
    if isinstance(model, FastDETR):
        rows = model.category_rows()
    body_fits = _body_fits(own, initial.state)
    parts = []
    for name, group in groupby(own, key=_part_of):
        names = list(group)
        tensors = [tensor for tensor in names if tensor not in rows]  # classes are copied later
        fits = body_fits or not names[0].startswith(BODY)
        copied = sum(fits and _copy(own, initial.state, tensor) for tensor in tensors)
        note = _note(name, own, initial.state) if tensors else SEE_CLASSES
        parts.append(CopiedPart(name, copied, len(tensors), note))
    copied_classes = _copy_classes(own, rows, initial, classes) if trunk else ()
    return CopyReport(initial.where, tuple(parts), copied_classes)


def _part_of(name: str) -> str:
    first, second, *_ = name.split(".")
    return f"{first}.{second}" if first in ("backbone", "transformer") else first


def _body_fits(own: State, given: State) -> bool:
    names = [name for name in own if name.startswith(BODY)]
    return all(name in given and given[name].shape == own[name].shape for name in names)


def _copy(own: State, given: State, name: str) -> bool:
    """Copy one tensor if it fits, or as many queries as both have."""
    if name not in given:
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
        (count, width), (own_count, own_width) = given[QUERIES].shape, own[QUERIES].shape
        some = width == own_width and count != own_count
        return f"{min(count, own_count)} of {own_count} queries" if some else ""
    return ""


def _copy_classes(
    own: State, rows: Rows, initial: InitialWeights, classes: ClassTable
) -> tuple[tuple[str, str], ...]:
    """Copy the rows of classes with the same name, and the last row of the published variant,
    which is no-object.

    Returns pairs of each class and the class that it was copied from, "" if none.
    """
    given = initial.state
    class_of = {_normalised(name): index for index, name in enumerate(initial.classes) if name}
    fitting = [
        tensor
        for tensor in rows
        if tensor in initial.rows and given[tensor].shape[1:] == own[tensor].shape[1:]
    ]
    pairs = []
    for index, name in enumerate(class_names(classes)):
        source, copied = class_of.get(_normalised(name)), False
        for tensor in fitting:
            # a class that is a thing here and stuff there has no row in some tensors
            if index in rows[tensor] and source in initial.rows[tensor]:
                row = initial.rows[tensor].index(source)
                own[tensor][rows[tensor].index(index)] = given[tensor][row]
                copied = True
        pairs.append((name, initial.classes[source] if copied and source is not None else ""))
    for tensor in fitting:
        if tensor in CLASS_ROWS:
            own[tensor][-1] = given[tensor][-1]
    return tuple(pairs)


def _normalised(name: str) -> str:
    """Normalise a name for comparison: "Traffic-Light" becomes "traffic light"."""
    return name.casefold().replace("-", " ").replace("_", " ").strip()
