"""Which classes are things and which are stuff."""

from __future__ import annotations

from dataclasses import dataclass

from detr.data.classes import ClassTable


@dataclass(frozen=True)
class Kinds:
    """The class indices of things and of stuff, each in increasing order.

    Models that treat the two differently index each kind from 0: thing 2 is class `things[2]`.
    """

    things: tuple[int, ...]
    stuff: tuple[int, ...]


def kinds_of(classes: ClassTable) -> Kinds:
    """Return the kinds of the classes of a table; indices without a category belong to neither."""
    categories = [(index, classes.category(index)) for index in range(len(classes))]
    things = tuple(index for index, category in categories if category and category.isthing)
    stuff = tuple(index for index, category in categories if category and not category.isthing)
    return Kinds(things, stuff)
