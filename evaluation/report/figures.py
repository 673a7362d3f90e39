"""The figures of the report, which its HTML page and its Markdown file show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conversion.coco.categories import Category, Color
from evaluation.errors.kinds import KINDS, Kind
from evaluation.errors.priced import PricedErrors
from evaluation.report.colors import ink, kind_colors
from evaluation.report.confusion import Confusion, count_confusion
from evaluation.report.records import PhotoRecords, list_records
from evaluation.report.reliability import Reliability, measure_reliability
from evaluation.scores.bootstrap import Range, interval, intervals
from evaluation.scores.counts import SIZE_LIMITS, SIZES
from evaluation.scores.quality import CategoryQuality, row_names
from evaluation.scores.scores import Scores, percent


@dataclass(frozen=True)
class Card:
    """A headline score, with its 95 % interval if it is known, and other scores in `note`."""

    name: str
    value: str
    range: Range | None
    note: str


@dataclass(frozen=True)
class KindRow:
    """A kind of errors: its number, its price, and the gain of fixing only this kind.

    `range` is the 95 % interval of the price. Prices are in panoptic quality, 0..1. `color` is that
    of the kind on the whole page, and `ink` that of text on it.
    """

    kind: Kind
    number: int
    price: float
    range: Range
    alone: float
    color: Color
    ink: str


@dataclass(frozen=True)
class CategoryRow:
    """The scores of a category, and its prices: in total and by kind, the highest first."""

    category: Category
    name: str
    quality: CategoryQuality
    range: Range | None
    photos: int  # with true segments of the category
    ap: float | None  # of masks; None for stuff, and for a prediction without scores
    price: float
    price_range: Range
    parts: tuple[tuple[Kind, float], ...]
    is_rare: bool  # in so few photos that its interval is too narrow


@dataclass(frozen=True)
class SizeRow:
    """Numbers of the true segments of one size; `near` counts near misses."""

    name: str
    pixels: str
    hits: int
    near: int
    missed: int  # without near misses

    @property
    def number(self) -> int:
        """The number of true segments."""
        return self.hits + self.near + self.missed


@dataclass(frozen=True)
class Figures:
    """All numbers of the report."""

    sentence: str
    pq: float
    cards: tuple[Card, ...]
    kinds: tuple[KindRow, ...]  # the most expensive first
    categories: tuple[CategoryRow, ...]
    confusion: Confusion
    reliability: Reliability | None  # None for a prediction without scores
    sizes: tuple[SizeRow, ...]
    photos: tuple[PhotoRecords, ...]


def collect_figures(scores: Scores, priced: PricedErrors) -> Figures:
    """Compute the figures of a comparison from its scores and priced errors."""
    photos = list_records(priced)
    return Figures(
        sentence=priced.sentence(),
        pq=scores.quality.all.pq,
        cards=_cards(scores),
        kinds=_kinds(priced),
        categories=_categories(scores, priced),
        confusion=count_confusion(photos, scores.categories),
        reliability=measure_reliability(photos),
        sizes=_sizes(scores),
        photos=photos,
    )


def _cards(scores: Scores) -> tuple[Card, ...]:
    quality, cards = scores.quality, []
    ranges = {name: _known(interval(v)) for name, v in scores.samples.headlines().items()}
    means = (("PQ", quality.all), ("PQ things", quality.things), ("PQ stuff", quality.stuff))
    for name, mean in means:
        pq, sq, rq = (percent(v if mean.n else None) for v in (mean.pq, mean.sq, mean.rq))
        cards.append(Card(name, pq, ranges[name], f"SQ {sq} · RQ {rq}"))
    for name, ap in (("box AP", scores.box_ap), ("mask AP", scores.mask_ap)):
        if ap is not None:
            note = f"AP50 {percent(ap.ap50)} · AR {percent(ap.ar)}"
            cards.append(Card(name, percent(ap.ap), ranges[name], note))
    miou = percent(None if np.isnan(scores.mean_iou) else scores.mean_iou)
    cards.append(Card("mIoU", miou, ranges["mIoU"], "of pixels, by category"))
    return tuple(cards)


def _known(found: Range) -> Range | None:
    return None if np.isnan(found).any() else found


def _kinds(priced: PricedErrors) -> tuple[KindRow, ...]:
    colors = kind_colors(priced.categories)
    return tuple(
        KindRow(
            kind,
            values["number"],
            values["price"],
            tuple(values["interval"]),
            values["alone"],
            colors[kind],
            ink(colors[kind]),
        )
        for kind, values in priced.most_expensive()
    )


def _categories(scores: Scores, priced: PricedErrors) -> tuple[CategoryRow, ...]:
    names = row_names(scores.categories)
    ranges = map(_known, intervals(scores.samples.category_pq))
    counts = scores.counts.of_size(None)
    photos = counts.photos().tolist()
    aps = scores.mask_ap.by_category() if scores.mask_ap else {}
    rows = []
    for number, (category, name, found) in enumerate(
        zip(scores.categories, names, ranges, strict=True)
    ):
        prices = dict(zip(KINDS, priced.prices.by_category[number].tolist(), strict=True))
        parts = sorted(((k, p) for k, p in prices.items() if p > 0), key=lambda part: -part[1])
        rows.append(
            CategoryRow(
                category=category,
                name=name,
                quality=scores.quality.categories[name],
                range=found,
                photos=photos[number],
                ap=aps.get(category.id),
                price=sum(prices.values()),
                price_range=priced.category_ranges[number],
                parts=tuple(parts),
                is_rare=name in scores.few_photos,
            )
        )
    return tuple(rows)


def _sizes(scores: Scores) -> tuple[SizeRow, ...]:
    small, medium = (f"{round(limit**0.5)}²" for limit in SIZE_LIMITS)
    texts = (f"below {small} pixels", f"{small} to {medium} pixels", f"from {medium} pixels")
    rows = []
    for size, (name, text) in enumerate(zip(SIZES, texts, strict=True)):
        counts = scores.counts.of_size(size).total()
        hits, near, fn = (int(a.sum()) for a in (counts.tp, counts.near, counts.fn))
        rows.append(SizeRow(name, text, hits, near, fn - near))
    return tuple(rows)
