"""The hits and errors of each photo, with what each of them costs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from conversion.coco.panoptic import Segment
from evaluation.errors.kinds import KINDS, Kind
from evaluation.errors.priced import PricedErrors
from evaluation.errors.prices import share_prices
from evaluation.scores.matching import PhotoMatch

_OUTLINE = KINDS.index("outline")
_OTHER_CATEGORY = ("wrong category", "wrong category and loose")


@dataclass(frozen=True)
class Record:
    """A true and a predicted segment, or one of them alone; `price` is in panoptic quality, 0..1.

    The kind of a hit is `outline` if its IoU is below 1, and otherwise None. For `instead`, see
    `evaluation.errors.kinds.Error`.
    """

    kind: Kind | None
    truth: Segment | None
    prediction: Segment | None
    iou: float
    price: float
    instead: str = ""

    @property
    def is_hit(self) -> bool:
        """Whether the two segments match."""
        return self.kind is None or self.kind == "outline"

    @property
    def is_paired(self) -> bool:
        """Whether the two segments count as one object: a hit, or one with another category."""
        return self.is_hit or self.kind in _OTHER_CATEGORY


@dataclass(frozen=True)
class PhotoRecords:
    """The hits and errors of a photo, and the sum of their prices."""

    match: PhotoMatch
    records: tuple[Record, ...]

    @property
    def price(self) -> float:
        """What the photo costs, in panoptic quality; the prices of all photos add up to 1 - PQ."""
        return sum(record.price for record in self.records)


def list_records(priced: PricedErrors) -> tuple[PhotoRecords, ...]:
    """List hits and errors by photo. The price of the outlines of a category is divided among its
    hits in proportion to 1 - IoU."""
    flat = [error for of_photo in priced.errors for error in of_photo]
    shares = iter(share_prices(priced.prices, flat, priced.categories))
    per_loss = _outline_prices(priced)
    photos = []
    for match, errors in zip(priced.matches, priced.errors, strict=True):
        records = [
            Record(
                "outline" if pair.iou < 1 else None,
                pair.truth,
                pair.prediction,
                pair.iou,
                (1 - pair.iou) * per_loss[pair.truth.category_id],
            )
            for pair in match.tp
        ]
        records += [
            Record(e.kind, e.truth, e.prediction, e.iou, next(shares), e.instead) for e in errors
        ]
        photos.append(PhotoRecords(match, tuple(records)))
    return tuple(photos)


def _outline_prices(priced: PricedErrors) -> dict[int, float]:
    """Return the price of a loss of 1 in IoU by category id."""
    losses: defaultdict[int, float] = defaultdict(float)
    for match in priced.matches:
        for pair in match.tp:
            losses[pair.truth.category_id] += 1 - pair.iou
    rows = zip(priced.categories, priced.prices.by_category[:, _OUTLINE].tolist(), strict=True)
    return {c.id: price / losses[c.id] if losses[c.id] else 0.0 for c, price in rows}
