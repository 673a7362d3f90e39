"""COCO's 133 panoptic categories and the categories of one data set."""

from __future__ import annotations

import colorsys
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from annotation.files import InputError, nearest

FIRST_OWN_ID = 201  # COCO's ids end at 200


@dataclass(frozen=True)
class Category:
    """A COCO category; `color` is RGB, 0..255."""

    id: int
    name: str
    isthing: bool
    color: tuple[int, int, int]


@cache
def coco_categories() -> tuple[Category, ...]:
    """COCO's 80 things and 53 stuff, sorted by id, as published with the panoptic task."""
    with (Path(__file__).parent / "coco_panoptic.csv").open(newline="") as file:
        return tuple(
            Category(
                id=int(row["id"]),
                name=row["name"],
                isthing=row["isthing"] == "1",
                color=(int(row["red"]), int(row["green"]), int(row["blue"])),
            )
            for row in csv.DictReader(file)
        )


def dataset_categories(
    things: Sequence[str], stuff: Sequence[str], *, where: str
) -> tuple[Category, ...]:
    """Categories of a data set, sorted by id.

    Stuff keeps COCO's ids, names and colours. Things are the set's own and get ids from 201 in
    the order of `things`, even where COCO has a thing of that name: the meaning is the set's.
    Raises InputError for a stuff name that COCO does not have.
    """
    coco_stuff = {c.name: c for c in coco_categories() if not c.isthing}
    for name in stuff:
        if name not in coco_stuff:
            hint = nearest(name, coco_stuff)
            raise InputError(f"{where}: stuff: '{name}' is no COCO stuff{hint}")
    own = [
        Category(FIRST_OWN_ID + i, name, isthing=True, color=_own_color(i))
        for i, name in enumerate(things)
    ]
    return tuple(sorted([*(coco_stuff[name] for name in stuff), *own], key=lambda c: c.id))


def _own_color(index: int) -> tuple[int, int, int]:
    """A bright colour; successive hues are the golden ratio apart, so neighbours differ."""
    red, green, blue = colorsys.hsv_to_rgb((index * 0.618034) % 1, 0.85 - 0.25 * (index % 2), 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)
