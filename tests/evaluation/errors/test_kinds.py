"""Kinds of errors on drawn examples, and on photos with known errors."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from conversion.coco.panoptic import Photo, Segment, measure
from evaluation.errors.kinds import KINDS, Error, name_errors
from evaluation.scores.matching import PhotoMatch, match_photo
from tests.evaluation.errors.damage import CATEGORIES, GRASS, SKY, damaged_photo

CAR, BUS = 1, 2
DOCUMENT = Path(__file__).parents[3] / "docs/errors.md"
SEED = 20261127  # not used while the rules were written


def match(true: str, predicted: str, names: dict[str, int]) -> PhotoMatch:
    """Match two rows of pixels; each letter is a segment of a category, a dot is void."""
    rows = [
        np.array([[0 if c == "." else ord(c) for c in row]], np.uint32) for row in (true, predicted)
    ]
    photos = [
        Photo(
            1,
            "a.jpg",
            row.shape[1],
            1,
            "a.png",
            tuple(Segment(i, names[chr(i)], *extent) for i, extent in measure(row).items()),
        )
        for row in rows
    ]
    return match_photo(photos[0], rows[0], photos[1], rows[1])


def described(error: Error) -> str:
    sides = [chr(s.id) if s else "-" for s in (error.truth, error.prediction)]
    return f"{error.kind} {' '.join(sides)} {error.instead}".strip()


NAMES = {**dict.fromkeys("abxy", CAR), "p": BUS, "s": SKY, "g": GRASS}


def documented() -> list[list[str]]:
    """Return kind, truth, prediction and errors of the examples in docs/errors.md."""
    rows = [line.split(" | ") for line in DOCUMENT.read_text().splitlines() if "| `" in line]
    return [[row[0].removeprefix("| "), row[2], row[3], row[4].removesuffix(" |")] for row in rows]


@pytest.mark.parametrize(("kind", "true", "predicted", "errors"), documented())
def test_the_documented_examples(kind: str, true: str, predicted: str, errors: str) -> None:
    found = name_errors(match(true.strip("`"), predicted.strip("`"), NAMES), CATEGORIES)
    assert [described(error) for error in found] == [f"{kind} {e}" for e in errors.split("; ")]


def test_every_kind_has_an_example() -> None:
    assert {row[0] for row in documented()} == {*KINDS} - {"outline"}


def test_a_perfect_prediction_has_no_errors() -> None:
    assert name_errors(match("aaas....", "xxxs....", NAMES), CATEGORIES) == ()


def test_known_errors_are_named() -> None:
    """At least 98 % of the wrong segments in photos with known errors are named right."""
    right, every = Counter[str](), Counter[str]()
    for number in range(120):
        photo = damaged_photo(SEED + number)
        result = photo.match()
        errors = name_errors(result, CATEGORIES)
        missed = {e.truth.id: e.kind for e in errors if e.truth}
        false = {e.prediction.id: e.kind for e in errors if e.prediction}
        assert missed.keys() == {s.id for s in result.fn}  # each segment has just one kind
        assert false.keys() == {s.id for s in result.fp}
        for expected, found in ((photo.missed, missed), (photo.false, false)):
            for segment_id, kind in expected.items():
                every[kind] += 1
                right[kind] += found.get(segment_id) == kind
            assert found.keys() == expected.keys()
    assert every.keys() == {*KINDS} - {"outline"} and every.total() > 2000
    assert right.total() >= 0.98 * every.total(), (right, every)
    assert min(right[kind] / every[kind] for kind in every) >= 0.95
