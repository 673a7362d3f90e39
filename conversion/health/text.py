"""The health of a set for the terminal: lines, a table of categories, and a map of places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from rich.table import Table
from rich.text import Text

from base.counting import counted
from base.naming import printable
from conversion.health.survey import Health, Places

SHADES = " ░▒▓█"
_MOST_SIZES = 5
_MOST_NAMED = 5


def health_facts(health: Health) -> Iterator[tuple[str, str]]:
    """Yield what the set has as a whole: the name of each fact, and its value."""
    photos = sum(health.photos.values())
    by_split = ", ".join(f"{count:,} {split}" for split, count in health.photos.items())
    yield "photos", f"{photos:,} ({by_split})"
    ranked = sorted(health.sizes.items(), key=lambda one: (-one[1], one[0]))
    sizes = [f"{width}x{height}: {count:,}" for (width, height), count in ranked[:_MOST_SIZES]]
    if len(ranked) > _MOST_SIZES:
        sizes.append(counted(len(ranked) - _MOST_SIZES, "other size"))
    yield "sizes", ", ".join(sizes)
    least, most = health.things[0], health.things[-1]
    yield "things per photo", f"{least:,} to {most:,}, median {median(health.things):g}"
    yield "void", f"{health.void:.1%} of all pixels"
    if health.mostly_void:
        yield "photos that are mostly void", _listed(health.mostly_void)
    if health.without_things:
        yield "photos without things", _listed(health.without_things)


def health_lines(health: Health) -> Iterator[str]:
    """Yield the same facts, one per line."""
    return (f"{fact}: {value}" for fact, value in health_facts(health))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return f"{len(names):,}: {', '.join(printable(name) for name in names[:_MOST_NAMED])}{more}"


def health_table(health: Health) -> Table:
    """Return a table for rich with one row per category; a 0 in a split is red.

    The last columns are the share of all pixels, and the typical side of a segment.
    """
    table = Table("category", "kind", title="segments", title_justify="left")
    for title in (*health.photos, "photos", "pixels", "side"):
        table.add_column(title, justify="right")
    for one in health.categories:
        counts = (_count(one.segments[split]) for split in health.photos)
        kind = "thing" if one.category.isthing else "stuff"
        side = "-" if one.typical_side is None else f"{one.typical_side:.0f} px"
        total = f"{sum(one.photos.values()):,}"
        name = Text(printable(one.category.name), overflow="fold")
        table.add_row(name, kind, *counts, total, f"{one.share:.1%}", side)
    return table


def _count(count: int) -> Text:
    return Text(f"{count:,}", "" if count else "red")


def places_lines(places: Places) -> Iterator[str]:
    """Yield a map of (R, C) values as text, one character per column and half as many lines."""
    halves = places[: len(places) // 2 * 2].reshape(-1, 2, places.shape[1]).mean(axis=1)
    top = halves.max()
    for row in halves:
        shades = (round(value / top * (len(SHADES) - 1)) if top else 0 for value in row)
        yield f"|{''.join(SHADES[shade] for shade in shades)}|"
