"""Two predictions of the same photos, compared photo by photo.

Both are scored on the same sets of photos of the bootstrap, so that photos that are hard for both
do not hide a difference (a paired bootstrap; Efron and Tibshirani, "An Introduction to the
Bootstrap", 1993, chapter 16).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from evaluation.scores.bootstrap import FEW_NOTE, Floats, Range, interval
from evaluation.scores.quality import row_names
from evaluation.scores.scores import Scores, percent

DECISIVE = "PQ"  # the score whose drop counts; of many scores, some would drop by chance
SHOWN_PHOTOS = 10


@dataclass(frozen=True)
class Change:
    """A score of A and of B, in 0..1, and the 95 % interval of B - A; NaN if not defined."""

    before: float
    after: float
    interval: Range

    @property
    def difference(self) -> float:
        """B - A."""
        return self.after - self.before

    @property
    def is_significant(self) -> bool:
        """Whether the interval is above or below zero."""
        low, high = self.interval
        return low > 0 or high < 0


@dataclass(frozen=True)
class PhotoChange:
    """The panoptic quality of one photo in A and in B."""

    file_name: str
    before: float
    after: float


@dataclass(frozen=True)
class Comparison:
    """What changed from prediction A to prediction B.

    `scores` are named as in `ScoreSamples.headlines`, and `categories` hold the PQ of each. The
    `photos` with the largest changes come first.
    """

    scores: dict[str, Change]
    categories: dict[str, Change]
    photos: tuple[PhotoChange, ...]
    few_photos: tuple[str, ...]  # as in Scores

    @property
    def is_worse(self) -> bool:
        """Whether PQ dropped significantly."""
        return self.scores[DECISIVE].interval[1] < 0

    def sentence(self) -> str:
        """Say what happened to PQ, in points."""
        change = self.scores[DECISIVE]
        if math.isnan(change.difference):
            return "PQ -, because there are no segments to compare"
        low, high = change.interval
        found = f"PQ {_signed(change.difference)} ({_signed(low)} to {_signed(high)})"
        verdict = "a significant change" if change.is_significant else "no significant change"
        return f"{found}: {'a significant drop' if self.is_worse else verdict}"

    def table(self) -> Table:
        """Return the scores, and the categories whose PQ changed significantly, in percent."""
        table = Table("", "A", "B", "B - A", "95 %", "significant", box=SIMPLE)
        for name, change in self.scores.items():
            table.add_row(name, *_cells(change))
        table.add_section()
        for name, change in self.categories.items():
            if change.is_significant:
                star = " *" if name in self.few_photos else ""
                table.add_row(f"PQ {name}{star}", *_cells(change))
                table.caption = FEW_NOTE if star else table.caption
        return table

    def photos_table(self) -> Table:
        """Return the photos whose PQ changed most."""
        table = Table("photos that changed most", "A", "B", "B - A", box=SIMPLE)
        for photo in self.photos[:SHOWN_PHOTOS]:
            if photo.after != photo.before:
                values = percent(photo.before), percent(photo.after)
                table.add_row(photo.file_name, *values, _signed(photo.after - photo.before))
        return table

    def as_json(self) -> dict[str, Any]:
        """Return plain values: scores, PQ of categories, and all photos; null if not defined."""
        return {
            "is_worse": self.is_worse,
            "scores": {name: _values(change) for name, change in self.scores.items()},
            "categories": {name: _values(change) for name, change in self.categories.items()},
            "few_photos": list(self.few_photos),
            "photos": {p.file_name: {"a": p.before, "b": p.after} for p in self.photos},
        }


def compare_scores(before: Scores, after: Scores) -> Comparison:
    """Compare two predictions, A and B, of the same ground truth.

    Scores that only one of them has, such as AP, are left out.
    """
    a, b = before.headlines, after.headlines
    samples = before.samples.headlines(), after.samples.headlines()
    names = row_names(before.categories)
    pq = [np.where(s.whole.present, s.whole.pq, np.nan) for s in (before, after)]
    columns = zip(names, *pq, *(s.samples.category_pq.T for s in (before, after)), strict=True)
    photos = (
        PhotoChange(one.truth.file_name, one.pq, other.pq)
        for one, other in zip(before.matches, after.matches, strict=True)
    )
    return Comparison(
        scores={
            name: _change(a[name], b[name], samples[0][name], samples[1][name])
            for name in a
            if name in b
        },
        categories={name: _change(*values) for name, *values in columns},
        photos=tuple(sorted(photos, key=lambda photo: -abs(photo.after - photo.before))),
        few_photos=before.few_photos,
    )


def _change(before: float, after: float, a: Floats, b: Floats) -> Change:
    return Change(float(before), float(after), interval(b - a))


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}"


def _cells(change: Change) -> list[str]:
    if math.isnan(change.difference):
        return ["-", "-", "-", "-", ""]
    low, high = change.interval
    scores = percent(change.before), percent(change.after), _signed(change.difference)
    return [*scores, f"{_signed(low)} to {_signed(high)}", "yes" if change.is_significant else "no"]


def _values(change: Change) -> dict[str, Any]:
    numbers = {"a": change.before, "b": change.after, "difference": change.difference}
    values: dict[str, Any] = {k: None if math.isnan(v) else v for k, v in numbers.items()}
    found = None if math.isnan(change.interval[0]) else list(change.interval)
    return values | {"interval": found, "is_significant": change.is_significant}
