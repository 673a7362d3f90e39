from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from base.errors import InputError
from conversion.coco.categories import Category
from conversion.coco.panoptic import Photo, Segment, measure
from evaluation.label_errors.places import read_places
from evaluation.label_errors.ranking import rank_suspects
from evaluation.label_errors.suspects import Suspect, SuspectList, write_suspects
from evaluation.scores.matching import PhotoMatch, match_photo

BOX, DISC, SKY = 1, 2, 3
CATEGORIES = (
    Category(BOX, "box", True, (1, 0, 0)),
    Category(DISC, "disc", True, (2, 0, 0)),
    Category(SKY, "sky", False, (3, 0, 0)),
)


@dataclass(frozen=True)
class Square:
    category: int
    x: int
    size: int = 10
    score: float = 0.8
    width: int | None = None  # if it is a rectangle


def photo(name: str, squares: Sequence[Square], *, scores: bool) -> tuple[Photo, np.ndarray]:
    """Squares on sky, with their left sides at x."""
    ids = np.ones((40, 200), np.uint32)
    for number, square in enumerate(squares, start=2):
        ids[10 : 10 + square.size, square.x : square.x + (square.width or square.size)] = number
    own = [Square(SKY, 0), *squares]
    segments = tuple(
        Segment(n, own[n - 1].category, *extent, score=own[n - 1].score if scores else None)
        for n, extent in measure(ids).items()
    )
    return Photo(1, name, 200, 40, "", segments), ids


def match(name: str, labels: Sequence[Square], found: Sequence[Square]) -> PhotoMatch:
    return match_photo(*photo(name, labels, scores=False), *photo(name, found, scores=True))


GOOD = [Square(BOX, 0), Square(BOX, 20), Square(DISC, 40), Square(BOX, 60), Square(BOX, 80)]


def ranked(*matches: PhotoMatch) -> tuple[Suspect, ...]:
    good = [match(f"good{n}.jpg", GOOD, GOOD) for n in range(3)]
    return rank_suspects([*good, *matches], CATEGORIES, labels={"box", "disc"}, inputs="x").suspects


def test_correct_labels_are_not_suspicious() -> None:
    assert ranked() == ()


def test_a_swapped_label_is_found_with_both_categories() -> None:
    wrong = [Square(DISC, 0), *GOOD[1:]]
    (found,) = ranked(match("a.jpg", wrong, GOOD))
    assert (found.file_name, found.kind, found.score) == ("a.jpg", "swapped", 0.8)
    assert (found.category, found.other_category) == ("disc", "box")
    assert (found.truth_id, found.prediction_id, found.bbox) == (2, 2, (0, 10, 10, 10))


def test_a_missing_label_is_found_where_the_prediction_is() -> None:
    (found,) = ranked(match("a.jpg", GOOD[:4], GOOD))
    assert (found.kind, found.category, found.truth_id) == ("missing", "box", None)
    assert (found.bbox, found.score) == ((80, 10, 10, 10), 0.8)


@pytest.mark.parametrize("wrong", [Square(BOX, 4), Square(BOX, 0, 14)])
def test_a_moved_or_loose_label_is_badly_placed(wrong: Square) -> None:
    (found,) = ranked(match("a.jpg", [wrong, *GOOD[1:]], GOOD))
    assert (found.kind, found.truth_id, found.score) == ("badly placed", 2, 0.8)


@pytest.mark.parametrize("swap", [False, True])
def test_labels_that_the_model_has_merged_or_divided_are_not_suspicious(swap: bool) -> None:
    two, one = [*GOOD, Square(BOX, 10, score=0.01)], [Square(BOX, 0, width=20), *GOOD[1:]]
    assert ranked(match("a.jpg", one, two) if swap else match("a.jpg", two, one)) == ()


def test_confident_predictions_come_first_and_stuff_is_not_examined() -> None:
    sure, unsure = Square(BOX, 120, 10, 0.9), Square(BOX, 120, 10, 0.3)
    found = ranked(match("b.jpg", GOOD, [*GOOD, unsure]), match("a.jpg", GOOD, [*GOOD, sure]))
    assert [(s.file_name, s.score) for s in found] == [("a.jpg", 0.9), ("b.jpg", 0.3)]


def test_a_weak_model_accuses_no_label_that_it_has_not_found() -> None:
    assert ranked(match("a.jpg", GOOD, GOOD[:2])) == ()


def test_the_list_gives_the_places_to_look_at(tmp_path: Path) -> None:
    path = tmp_path / "suspects.json"
    write_suspects(path, SuspectList("x", ranked(match("a.jpg", [Square(DISC, 0)], GOOD[:1]))))
    ((name, (place,)),) = read_places(path, labels=["box", "disc"]).items()
    assert (name, place.text) == ("a.jpg", "swapped: disc or box (0.80)")
    path.write_text("[]")
    with pytest.raises(InputError, match=r"suspects.json: expected redraw.json or suspects.json"):
        read_places(path, labels=["box"])
