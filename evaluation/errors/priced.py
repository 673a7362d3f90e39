"""All errors of a prediction with their prices and confidence intervals, as text, table and CSV."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.table import Column, Table

from base.files import write_bytes
from conversion.coco.categories import Category
from conversion.coco.panoptic import Segment
from evaluation.errors.kinds import KINDS, Error, Kind, name_errors
from evaluation.errors.prices import Counts, Prices, count_errors, price_counts, share_prices
from evaluation.scores.bootstrap import Floats, Range, draw_photos, interval, intervals
from evaluation.scores.matching import PhotoMatch
from evaluation.scores.quality import row_names

AT_ONCE = 50  # samples that are computed together, to bound the memory


@dataclass(frozen=True)
class PricedErrors:
    """The errors of N photos, with 95 % intervals of a bootstrap over photos.

    Prices and scores are in panoptic quality, 0..1.
    """

    categories: tuple[Category, ...]
    matches: tuple[PhotoMatch, ...]
    errors: tuple[tuple[Error, ...], ...]  # of each photo
    prices: Prices
    pq_range: Range
    price_ranges: tuple[Range, ...]  # by kind
    category_ranges: tuple[Range, ...]  # of the price of all kinds, by category

    def sentence(self) -> str:
        """Return PQ and what the missing points are, the most expensive first."""
        if not any(match.tp or match.fp or match.fn for match in self.matches):
            return "PQ -, because there are no segments to compare"
        low, high = self.pq_range
        pq, gap = 100 * float(self.prices.pq), 100 * (1 - float(self.prices.pq))
        totals = dict(zip(KINDS, 100 * self.prices.by_category.sum(0), strict=True))
        named = sorted((kind for kind in KINDS if totals[kind] >= 0.05), key=lambda k: -totals[k])
        parts = ", ".join(f"{totals[kind]:.1f} {kind}" for kind in named)
        score = f"PQ {pq:.1f} ± {50 * (high - low):.1f}"
        return f"{score}; of the {gap:.1f} points missing: {parts}" if parts else score

    def table(self) -> Table:
        """Return counts and prices of the kinds in points of PQ, the most expensive first."""
        names = ("number", "price", "95 % interval", "if only this were fixed")
        numbers = (Column(name, justify="right") for name in names)
        table = Table("error", *numbers, box=SIMPLE, padding=(0, 1, 0, 0))
        for kind, values in self.most_expensive():
            low, high = (f"{100 * value:.1f}" for value in values["interval"])
            price, alone = f"{100 * values['price']:.1f}", f"+{100 * values['alone']:.1f}"
            table.add_row(kind, str(values["number"]), price, f"{low} to {high}", alone)
        return table

    def most_expensive(self) -> list[tuple[Kind, dict[str, Any]]]:
        """Return the kinds with their values as in `as_json`, the most expensive first."""
        return sorted(self.as_json()["kinds"].items(), key=lambda item: -item[1]["price"])

    def as_json(self) -> dict[str, Any]:
        """Return plain values: the interval of PQ, number, price and gain of each kind, and prices
        by category."""
        numbers = Counter(error.kind for of_photo in self.errors for error in of_photo)
        numbers["outline"] = sum(pair.iou < 1 for match in self.matches for pair in match.tp)
        columns = (self.prices.by_category.sum(0), self.price_ranges, self.prices.alone)
        kinds = {
            kind: {
                "number": numbers[kind],
                "price": float(price),
                "interval": list(interval),
                "alone": float(alone),
            }
            for kind, price, interval, alone in zip(KINDS, *columns, strict=True)
        }
        names, rows = row_names(self.categories), self.prices.by_category.tolist()
        categories = {
            name: {"price": sum(row), "interval": list(found)} | dict(zip(KINDS, row, strict=True))
            for name, row, found in zip(names, rows, self.category_ranges, strict=True)
        }
        return {"pq_interval": list(self.pq_range), "kinds": kinds, "categories": categories}

    def write_csv(self, path: Path) -> None:
        """Write one row per error, the most expensive first; prices are in points of PQ."""
        ids = [category.id for category in self.categories]
        names = dict(zip(ids, row_names(self.categories), strict=True))

        def cells(segment: Segment | None) -> tuple[object, ...]:
            return ("", "") if segment is None else (names[segment.category_id], segment.id)

        flat = [error for of_photo in self.errors for error in of_photo]
        photos = [
            match.truth.file_name
            for match, of_photo in zip(self.matches, self.errors, strict=True)
            for _ in of_photo
        ]
        shares = share_prices(self.prices, flat, self.categories)
        rows = sorted(zip(photos, flat, shares, strict=True), key=lambda row: -row[2])
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        truth, prediction = ("true_category", "true_id"), ("predicted_category", "predicted_id")
        writer.writerow(("photo", "kind", *truth, *prediction, "iou", "instead", "price"))
        for photo, error, price in rows:
            segments = (*cells(error.truth), *cells(error.prediction))
            values = (round(error.iou, 4), error.instead, f"{100 * price:.4f}")
            writer.writerow((photo, error.kind, *segments, *values))
        write_bytes(path, text.getvalue().encode())


def price_matches(matches: Sequence[PhotoMatch], categories: Sequence[Category]) -> PricedErrors:
    """Name and price all errors; `categories` are those of the ground truth."""
    errors = tuple(name_errors(match, categories) for match in matches)
    counts = count_errors(matches, errors, categories)
    whole = price_counts(counts.weighted(np.ones(len(matches))))
    pq, prices = _resampled(counts)
    return PricedErrors(
        categories=tuple(categories),
        matches=tuple(matches),
        errors=errors,
        prices=whole,
        pq_range=interval(pq),
        price_ranges=tuple(intervals(prices.sum(-2))),
        category_ranges=tuple(intervals(prices.sum(-1))),
    )


def _resampled(counts: Counts) -> tuple[Floats, Floats]:
    """Return PQ (R,) and all prices (R, C, K) of R sets of photos drawn at random."""
    weights = draw_photos(len(counts.tp))
    parts = [
        price_counts(counts.weighted(weights[first : first + AT_ONCE]))
        for first in range(0, len(weights), AT_ONCE)
    ]
    pq = np.concatenate([part.pq for part in parts])
    return pq, np.concatenate([part.by_category for part in parts])
