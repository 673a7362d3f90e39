"""Prices add up to what is missing, and match hand calculations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.errors.kinds import KINDS
from evaluation.errors.priced import price_matches
from evaluation.errors.prices import share_prices
from evaluation.report.records import list_records
from evaluation.scores.quality import panoptic_quality
from tests.evaluation.errors.damage import CATEGORIES, Damaged, damaged_photo
from tests.evaluation.errors.test_kinds import NAMES, match


def test_prices_add_up_to_the_missing_quality() -> None:
    matches = [damaged_photo(seed).match() for seed in range(30)]
    priced = price_matches(matches, CATEGORIES)
    pq = panoptic_quality(matches, CATEGORIES).all.pq
    assert float(priced.prices.pq) == pytest.approx(pq, abs=1e-12)
    assert priced.prices.by_category.sum() == pytest.approx(1 - pq, abs=1e-12)
    values = priced.as_json()["kinds"]
    assert all(values[kind]["price"] > 0 for kind in KINDS)
    assert all(values[kind]["alone"] > 0 for kind in KINDS)
    for category in priced.as_json()["categories"].values():
        assert sum(category[kind] for kind in KINDS) == pytest.approx(category["price"])
        low, high = category["interval"]
        assert low - 1e-12 < category["price"] < high + 1e-12 and high - low < 0.2
    low, high = priced.pq_range
    assert low < pq < high < low + 0.2
    flat = [error for of_photo in priced.errors for error in of_photo]
    shares = share_prices(priced.prices, flat, CATEGORIES)
    outline = priced.prices.by_category[:, KINDS.index("outline")].sum()
    assert sum(shares) == pytest.approx(1 - pq - outline, abs=1e-12)


def test_a_price_by_hand() -> None:
    """One of two cars is missed, the other has an IoU of 3/4: PQ = 3/4 / 1.5 = 1/2.

    Fixing the missed one first gains 1/4 (it gets the IoU 3/4), fixing the outline first 1/6;
    each is the mean of both orders.
    """
    priced = price_matches([match("aaaabb..", "xxx.....", NAMES)], CATEGORIES)
    kinds = priced.as_json()["kinds"]
    assert kinds["missed"]["alone"] == pytest.approx(1 / 4)
    assert kinds["outline"]["alone"] == pytest.approx(1 / 6)
    assert kinds["missed"]["price"] == pytest.approx((1 / 4 + 1 / 3) / 2)
    assert kinds["outline"]["price"] == pytest.approx((1 / 6 + 1 / 4) / 2)
    assert priced.sentence().endswith("of the 50.0 points missing: 29.2 missed, 20.8 outline")


@pytest.mark.parametrize(
    ("predicted", "missed", "wrong"),
    [("xxx.....", 1 / 2, 0), ("xxxxyyy.", 0, 2 / 3)],  # the bus: missed, or called a car
)
def test_without_hits_nothing_is_lost_by_outlines(
    predicted: str, missed: float, wrong: float
) -> None:
    """The bus has no hits. The prices of the photos add up to what is missing, too."""
    priced = price_matches([match("aaaapppp", predicted, NAMES)], CATEGORIES)
    kinds = priced.as_json()["kinds"]
    assert kinds["missed"]["price"] == pytest.approx(missed)
    assert kinds["wrong category"]["price"] == pytest.approx(wrong)
    gap = 1 - float(priced.prices.pq)
    assert kinds["outline"]["price"] == pytest.approx(gap - missed - wrong)
    assert sum(photo.price for photo in list_records(priced)) == pytest.approx(gap)


def test_a_perfect_prediction_has_no_prices() -> None:
    priced = price_matches([match("aaaass..", "xxxxss..", NAMES)], CATEGORIES)
    assert priced.prices.by_category.sum() == pytest.approx(0, abs=1e-12)
    assert priced.sentence() == "PQ 100.0 ± 0.0"


def test_without_segments_there_is_no_score() -> None:
    empty = match("....", "....", NAMES)
    for matches in ([], [empty]):
        priced = price_matches(matches, CATEGORIES)
        assert priced.sentence() == "PQ -, because there are no segments to compare"
        assert priced.prices.by_category.sum() == 0


def test_the_list_of_errors_is_sorted_by_price(tmp_path: Path) -> None:
    photos = [damaged_photo(1), Damaged(np.random.default_rng(0))]  # the second has no errors
    priced = price_matches([photo.match() for photo in photos], CATEGORIES)
    priced.write_csv(tmp_path / "errors.csv")
    header, *rows = (line.split(",") for line in (tmp_path / "errors.csv").read_text().splitlines())
    assert header[:2] == ["photo", "kind"] and header[-1] == "price"
    assert len(rows) == len(priced.errors[0])
    assert [float(row[-1]) for row in rows] == sorted((float(r[-1]) for r in rows), reverse=True)
