"""What a review says about each segment and photo: outcome, IoU, kind of error and price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import fiftyone as fo
import numpy as np

from conversion.coco.categories import Category
from conversion.coco.panoptic import Segment
from curation.app.fields import EVALUATIONS, FALSE_ALARM, HIT, IGNORED, MISSED, OUTCOMES
from curation.loading.labels import Label
from evaluation.errors.kinds import KINDS, Error, Kind, name_errors
from evaluation.errors.prices import Prices, count_errors, price_counts, share_prices
from evaluation.scores.matching import PhotoMatch

_EVALUATED = {HIT: "tp", FALSE_ALARM: "fp", MISSED: "fn"}  # FiftyOne's names of outcomes
ATTRIBUTES: dict[str, type] = {  # of every reviewed segment, beside those of its data set
    "outcome": fo.StringField,
    "iou": fo.FloatField,
    "error": fo.StringField,
    "confused_with": fo.StringField,
    "price": fo.FloatField,
}


@dataclass(frozen=True)
class Mark:
    """What is said about one segment.

    `iou` is that of a hit, or of the two segments of an error. `confused_with` is the category of
    the other segment if that is another one. `price` is that of the error, in points of PQ.
    """

    outcome: str
    iou: float | None = None
    error: str | None = None
    confused_with: str | None = None
    price: float | None = None


@dataclass(frozen=True)
class PhotoMarks:
    """The marks of one photo by segment id, and its kinds of errors and confusions.

    `price` is the sum over its errors, in points of PQ.
    """

    match: PhotoMatch
    truth: Mapping[int, Mark]
    prediction: Mapping[int, Mark]
    price: float = 0.0
    error_kinds: tuple[str, ...] = ()
    confusions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Compared:
    """The matches and errors of all photos with their prices; `categories` are those of the truth.

    Unlike `evaluation.errors.priced`, it has no intervals, which would take most of the time.
    """

    matches: tuple[PhotoMatch, ...]
    errors: tuple[tuple[Error, ...], ...]  # of each photo
    prices: Prices
    categories: tuple[Category, ...]

    def flat(self) -> list[Error]:
        """Return the errors of all photos, photo by photo."""
        return [error for of_photo in self.errors for error in of_photo]

    def names(self) -> dict[int, str]:
        """Return the names of the categories by id."""
        return {category.id: category.name for category in self.categories}


def compare(matches: Sequence[PhotoMatch], categories: Sequence[Category]) -> Compared:
    """Name and price the errors of all photos."""
    errors = tuple(name_errors(match, categories) for match in matches)
    counts = count_errors(matches, errors, categories)
    prices = price_counts(counts.weighted(np.ones(len(matches))))
    return Compared(tuple(matches), errors, prices, tuple(categories))


def mark_photos(compared: Compared) -> dict[str, PhotoMarks]:
    """Mark all segments of a comparison; return the marks by file name of the photo."""
    shares = share_prices(compared.prices, compared.flat(), compared.categories)
    prices, names = iter(shares), compared.names()
    return {
        match.truth.file_name: _mark_photo(match, [(e, 100 * next(prices)) for e in errors], names)
        for match, errors in zip(compared.matches, compared.errors, strict=True)
    }


def _mark_photo(
    match: PhotoMatch, errors: Sequence[tuple[Error, float]], names: Mapping[int, str]
) -> PhotoMarks:
    truth = _outcomes(match.truth.segments, MISSED, match.fn)
    prediction = _outcomes(match.prediction.segments, FALSE_ALARM, match.fp)
    for pair in match.tp:
        truth[pair.truth.id] = prediction[pair.prediction.id] = Mark(HIT, pair.iou)
    confusions = set()
    for error, price in errors:
        sides = ((error.truth, truth, MISSED), (error.prediction, prediction, FALSE_ALARM))
        for segment, marks, outcome in sides:
            if segment is not None:
                other = error.prediction if segment is error.truth else error.truth
                confused = _confused(segment, other, names)
                iou = error.iou or None
                marks[segment.id] = Mark(outcome, iou, error.kind, confused, price)
        if confusion := confusion_of(error, names):
            confusions.add(confusion)
    return PhotoMarks(
        match,
        truth,
        prediction,
        price=sum(price for _, price in errors),
        error_kinds=tuple(sorted({error.kind for error, _ in errors})),
        confusions=tuple(sorted(confusions)),
    )


def _outcomes(
    segments: Iterable[Segment], outcome: str, wrong: Iterable[Segment]
) -> dict[int, Mark]:
    """Mark wrong segments; the others, crowds and segments mostly on void, are not scored."""
    ignored = {segment.id: Mark(IGNORED) for segment in segments}
    return {**ignored, **{segment.id: Mark(outcome) for segment in wrong}}


def _confused(segment: Segment, other: Segment | None, names: Mapping[int, str]) -> str | None:
    if other is None or other.category_id == segment.category_id:
        return None
    return names[other.category_id]


def confusion_of(error: Error, names: Mapping[int, str]) -> str | None:
    """Return `car as bus` if a car was predicted as a bus, None if both categories are the same."""
    if error.truth is None or error.prediction is None:
        return None
    if error.truth.category_id == error.prediction.category_id:
        return None
    return f"{names[error.truth.category_id]} as {names[error.prediction.category_id]}"


def find_confusions(compared: Compared) -> list[tuple[str, str]]:
    """Return the pairs of a true and a predicted category that were confused, by frequency."""
    names = compared.names()
    counts = Counter(
        (names[error.truth.category_id], names[error.prediction.category_id])
        for error in compared.flat()
        if error.truth and error.prediction and confusion_of(error, names)
    )
    return sorted(counts, key=lambda pair: (-counts[pair], pair))


def price_kinds(compared: Compared) -> list[tuple[Kind, int, float]]:
    """Return the kinds that occur, their numbers and prices in points of PQ, by price."""
    numbers = Counter(error.kind for error in compared.flat())
    numbers["outline"] = sum(pair.iou < 1 for match in compared.matches for pair in match.tp)
    prices = 100 * compared.prices.by_category.sum(0)
    rows = zip(KINDS, prices.tolist(), strict=True)
    found = [(kind, numbers[kind], price) for kind, price in rows if numbers[kind]]
    return sorted(found, key=lambda row: -row[2])


def mark_segments(labels: Iterable[Label], marks: Mapping[int, Mark]) -> list[Label]:
    """Return labels with the attributes of the review; the outcome is also a tag.

    A filter by tags applies to all fields at once. Labels that the user added are not marked.
    """
    return [_marked(label, marks.get(label.get("segment_id", 0))) for label in labels]


def _marked(label: Label, mark: Mark | None) -> Label:
    others = [tag for tag in label["tags"] if tag not in OUTCOMES]
    tags = [mark.outcome, *others] if mark else others
    evaluated = dict.fromkeys(EVALUATIONS, _EVALUATED.get(mark.outcome) if mark else None)
    values = {name: getattr(mark, name, None) for name in ATTRIBUTES}
    return {**label, "tags": tags, **values, **evaluated}
