"""COCO's 133 panoptic categories and the categories of one data set."""

from __future__ import annotations

import colorsys
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

from annotation.dataset import Dataset
from base.errors import InputError, nearest
from conversion.config import ConversionConfig

FIRST_OWN_ID = 201  # COCO's ids end at 200
FIRST_OWN_STUFF_ID = 1001  # apart from the things', so that new things never move it
FIRST_GROUP_ID = 2001
BRIGHT, DULL, DARK = (0.95, 0.8, 0.65), (0.5, 0.35), (0.42, 0.28)  # of things, stuff, groups
_LEAST_DISTANCE = 12  # of own colours from others, in steps of red, green and blue

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
    """COCO's 80 things and 53 stuff, sorted by id, as published with the panoptic task."""
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
    """The 92 categories of COCO's stuff task by id: name, and the panoptic name it was merged into.

    That is "" for those that the panoptic task left out, and for `other`, all things as one.
    """
    return {int(row["id"]): (row["name"], row["panoptic"]) for row in _rows("coco_stuff.csv")}


def _rows(name: str) -> list[dict[str, str]]:
    with (Path(__file__).parent / name).open(newline="") as file:
        header, *rows = csv.reader(file)  # DictReader takes twice as long
    return [dict(zip(header, row, strict=True)) for row in rows]


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
    """Categories of a data set, sorted by id; a name added at the end of a list moves no other.

    Stuff keeps COCO's ids, names and colours. Things are the set's own and get ids from 201 in
    the order of `things`, even where COCO has a thing of that name: the meaning is the set's.
    Own stuff gets ids from 1001, groups of stuff from 2001 unless COCO has stuff of that name.
    Raises InputError for a stuff name that COCO does not have, or an own one that it has.
    """
    known = {c.name: c for c in coco_categories() if not c.isthing}
    groups = groups or {}
    _check_names(stuff, known, where=f"{where}: stuff")
    for group, members in groups.items():
        _check_names([m for m in members if m != group], known, where=f"{where}: {group}")
    for name in own_stuff:
        if name in known:
            raise InputError(f"{where}: own_stuff: '{name}' is COCO's; name it under stuff")
    if len(things) > FIRST_OWN_STUFF_ID - FIRST_OWN_ID:
        raise InputError(f"{where}: things: expected at most 800, got {len(things)}")
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
            raise InputError(f"{where}: '{name}' is no COCO stuff{nearest(name, known)}")


def own_colors(values: Sequence[float]) -> Iterator[Color]:
    """Colours that are all different and none near COCO's stuff, always in the same order.

    Hues that follow each other are the golden ratio apart, so neighbours in a list differ most.
    `values` are brightnesses, 0..1; sequences without a common one have no colour in common.
    """
    theirs = [c.color for c in coco_categories() if not c.isthing]
    mine: list[Color] = []
    for index in count():
        value = values[index // 16 % len(values)]
        rgb = colorsys.hsv_to_rgb((index * 0.618034) % 1, 0.85 - 0.25 * (index % 2), value)
        color = (round(rgb[0] * 255), round(rgb[1] * 255), round(rgb[2] * 255))
        least = max(1, min(_LEAST_DISTANCE, 1200 // (index + 1)))  # the more, the closer
        if _distance(color, theirs) >= _LEAST_DISTANCE and _distance(color, mine) >= least:
            mine.append(color)
            yield color


def _distance(color: Color, others: Sequence[Color]) -> int:
    r, g, b = color
    return min((abs(r - x) + abs(g - y) + abs(b - z) for x, y, z in others), default=765)
