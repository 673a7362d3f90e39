"""Which categories are taken for which: true segments by the category of their prediction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from conversion.coco.categories import Category
from evaluation.report.records import PhotoRecords
from evaluation.scores.quality import row_names

MOST_CATEGORIES = 24  # of a matrix that is still readable


@dataclass(frozen=True)
class Cell:
    """True segments of one category that are predicted as another; categories by id.

    `predicted` is None for true segments without a counterpart, and `true` for predicted ones.
    `share` is that of the row's segments, 0..1.
    """

    true: int | None
    predicted: int | None
    number: int
    share: float

    @property
    def is_hit(self) -> bool:
        """Whether both categories are the same."""
        return self.true == self.predicted


@dataclass(frozen=True)
class Confusion:
    """A matrix with a row per true and a column per predicted category.

    The last row has the predicted segments without a counterpart (`invented`), and the last column
    the true ones (`missed`). `names` has the names by id. `left_out` is the number of categories
    that the matrix does not show, because it would be too large; `mistakes` are cells of all
    categories off the diagonal, the highest numbers first.
    """

    names: dict[int | None, str]
    rows: tuple[tuple[Cell, ...], ...]
    mistakes: tuple[Cell, ...]
    left_out: int


def count_confusion(photos: Sequence[PhotoRecords], categories: Sequence[Category]) -> Confusion:
    """Count the segments of all photos by true and predicted category."""
    counts: Counter[tuple[int | None, int | None]] = Counter()
    for photo in photos:
        for record in photo.records:
            true = record.truth.category_id if record.truth else None
            predicted = record.prediction.category_id if record.prediction else None
            pairs = [(true, predicted)] if record.is_paired else [(true, None), (None, predicted)]
            counts.update(pair for pair in pairs if pair != (None, None))
    totals: Counter[int | None] = Counter()
    for (true, _), number in counts.items():
        totals[true] += number

    def cell(true: int | None, predicted: int | None) -> Cell:
        number = counts[true, predicted]
        return Cell(true, predicted, number, number / max(1, totals[true]))

    wrong = sorted(
        (cell(*pair) for pair in list(counts) if pair[0] != pair[1]), key=lambda c: -c.number
    )
    occurring = {category_id for pair in counts for category_id in pair}
    known = [c.id for c in categories if c.id in occurring]
    shown = _most_confused(known, wrong)
    rows = [
        tuple(cell(true, p) for p in (*shown, None) if (true, p) != (None, None))
        for true in (*shown, None)
    ]
    names: dict[int | None, str] = {None: ""}
    names |= zip((c.id for c in categories), row_names(categories), strict=True)
    return Confusion(names, tuple(rows), tuple(wrong), len(known) - len(shown))


def _most_confused(known: Sequence[int], wrong: Sequence[Cell]) -> list[int]:
    """Return at most `MOST_CATEGORIES` ids: those of the largest mistakes, in their order."""
    if len(known) <= MOST_CATEGORIES:
        return list(known)
    ranked = dict.fromkeys(
        category_id
        for cell in sorted(wrong, key=lambda c: None in (c.true, c.predicted))
        for category_id in (cell.true, cell.predicted)
        if category_id is not None
    )
    kept = set(list(dict.fromkeys([*ranked, *known]))[:MOST_CATEGORIES])
    return [category_id for category_id in known if category_id in kept]
