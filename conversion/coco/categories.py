"""COCO's 133 panoptic categories and the categories of one data set."""

from __future__ import annotations

import colorsys
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from annotation.dataset import Dataset
from base.errors import InputError, nearest
from conversion.config import ConversionConfig

FIRST_OWN_ID = 201  # COCO's ids end at 200
FIRST_OWN_STUFF_ID = 1001  # separate from the ids of things, so that new things do not change them
FIRST_GROUP_ID = 2001
BRIGHT, DULL, DARK = (0.95, 0.8, 0.65), (0.5, 0.35), (0.42, 0.28)  # of things, stuff, groups
_LEAST_DISTANCE = 12  # between colours: the sum of differences in red, green and blue

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Category:
    """A COCO category; `color` is RGB, 0..255."""

    id: int
    name: str
    isthing: bool
    color: Color


@cache
def coco_categories() -> tuple[Category, ...]:
    """Return the 80 things and 53 stuff categories of COCO's panoptic task, sorted by id."""
    return tuple(
        Category(
            id=int(row["id"]),
            name=row["name"],
            isthing=row["isthing"] == "1",
            color=(int(row["red"]), int(row["green"]), int(row["blue"])),
        )
        for row in _rows("coco_panoptic.csv")
    )


@cache
def coco_stuff_merges() -> dict[int, tuple[str, str]]:
    """Return the name and the panoptic name of the 92 categories of COCO's stuff task, by id.

    The panoptic task merged several of them into one. The panoptic name is "" for categories that
    it left out, and for `other`, which stands for all things.
    """
    return {int(row["id"]): (row["name"], row["panoptic"]) for row in _rows("coco_stuff.csv")}


def _rows(name: str) -> list[dict[str, str]]:
    with (Path(__file__).parent / name).open(newline="") as file:
        header, *rows = csv.reader(file)  # DictReader takes twice as long
    return [dict(zip(header, row, strict=True)) for row in rows]


def category_values(categories: tuple[Category, ...]) -> list[dict[str, Any]]:
    """Return categories in the form of COCO's JSON."""
    return [
        {
            "id": c.id,
            "name": c.name,
            "isthing": int(c.isthing),
            "color": c.color,
            "supercategory": "thing" if c.isthing else "stuff",
        }
        for c in categories
    ]


def categories_of(dataset: Dataset, config: ConversionConfig) -> tuple[Category, ...]:
    """Return the categories that the `dataset.yaml` of a data set defines."""
    return dataset_categories(
        dataset.config.things,
        dataset.config.stuff,
        own_stuff=config.own_stuff,
        groups=config.stuff_groups,
        where=str(dataset.root / "dataset.yaml"),
    )


def dataset_categories(
    things: Sequence[str],
    stuff: Sequence[str],
    *,
    own_stuff: Sequence[str] = (),
    groups: Mapping[str, Sequence[str]] | None = None,
    where: str,
) -> tuple[Category, ...]:
    """Return the categories of a data set, sorted by id.

    Stuff keeps COCO's ids, names and colours. Things belong to the set and get ids from 201 in the
    order of `things`, even if COCO has a thing with the same name, because its meaning may differ.
    Own stuff gets ids from 1001, and groups of stuff from 2001 unless COCO has stuff with that
    name. A name that is added at the end of a list does not change other ids. Raises InputError for
    stuff that COCO lacks, and for own stuff that COCO has.
    """
    known = {c.name: c for c in coco_categories() if not c.isthing}
    groups = groups or {}
    _check_names(stuff, known, where=f"{where}: stuff")
    for group, members in groups.items():
        _check_names([m for m in members if m != group], known, where=f"{where}: {group}")
    for name in own_stuff:
        if name in known:
            expected = f"{where}: own_stuff: expected a name that COCO lacks"
            raise InputError(f"{expected}, found '{name}'; list it under stuff")
    if len(things) > FIRST_OWN_STUFF_ID - FIRST_OWN_ID:
        raise InputError(f"{where}: things: expected at most 800, found {len(things)}")
    colors = own_colors(BRIGHT)
    found = [Category(FIRST_OWN_ID + i, n, True, next(colors)) for i, n in enumerate(things)]
    found += [known[name] for name in stuff]
    for first, names in ((FIRST_OWN_STUFF_ID, own_stuff), (FIRST_GROUP_ID, groups)):
        dull = own_colors(DULL if names is own_stuff else DARK)
        own = [
            Category(first + i, n, False, c)
            for i, (n, c) in enumerate(zip(names, dull, strict=False))
        ]
        found += [known.get(c.name, c) for c in own]
    return tuple(sorted(found, key=lambda c: c.id))


def _check_names(names: Sequence[str], known: Mapping[str, Category], *, where: str) -> None:
    for name in names:
        if name not in known:
            raise InputError(
                f"{where}: expected a COCO stuff category, found '{name}'{nearest(name, known)}"
            )


def own_colors(values: Sequence[float]) -> Iterator[Color]:
    """Yield different colours, none of them similar to COCO's stuff, always in the same order.

    Successive hues are the golden ratio apart, so that neighbours in a list differ clearly.
    `values` are brightnesses, 0..1; sequences with different brightnesses have no common colours.
    """
    coco = [c.color for c in coco_categories() if not c.isthing]
    own: list[Color] = []
    for index in count():
        value = values[index // 16 % len(values)]
        rgb = colorsys.hsv_to_rgb((index * 0.618034) % 1, 0.85 - 0.25 * (index % 2), value)
        color = (round(rgb[0] * 255), round(rgb[1] * 255), round(rgb[2] * 255))
        least = max(1, min(_LEAST_DISTANCE, 1200 // (index + 1)))  # many colours are closer
        if _distance(color, coco) >= _LEAST_DISTANCE and _distance(color, own) >= least:
            own.append(color)
            yield color


def _distance(color: Color, others: Sequence[Color]) -> int:
    r, g, b = color
    return min((abs(r - x) + abs(g - y) + abs(b - z) for x, y, z in others), default=765)
