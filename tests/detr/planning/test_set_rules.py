"""Choices for several kinds of data sets, before anything is timed."""

from __future__ import annotations

from typing import Any

import pytest

from detr.planning.machine import Machine
from detr.planning.set_rules import (
    choose_batch,
    choose_queries,
    given_resolution,
    wanted_resolution,
)
from detr.planning.survey import Survey, survey
from detr.settings import Settings
from tests.detr.planning.made import GPU, LAPTOP, make_set


def scale(found: Survey, machine: Machine = LAPTOP) -> float:
    """Return the scale of photos at the wanted resolution."""
    values = wanted_resolution(found, machine, 4).values
    scales = values["max_size"] / found.long_side, values["min_size"] / found.short_side
    return float(min(scales))


def make(**values: Any) -> Survey:
    return survey(make_set(**values))


def test_small_photos_are_enlarged() -> None:
    assert scale(make(size=(512, 384))) == 1
    assert scale(make(size=(400, 300))) == pytest.approx(512 / 400)
    assert scale(make(size=(320, 240))) == 1.5
    assert scale(make(size=(64, 48), side=8)) == pytest.approx(128 / 48, rel=0.1)


def test_large_photos_are_reduced_less_if_their_things_are_small() -> None:
    large, medium, small = (scale(make(size=(4000, 3000), side=side)) for side in (800, 80, 8))
    assert large < medium < 1
    assert 80 * medium >= 15  # pixels of a thing
    assert small * 4000 < 2000  # as large as is affordable, not 4000 pixels
    assert (
        "smaller than 80 pixels"
        in wanted_resolution(make(size=(4000, 3000), side=80), LAPTOP, 4).reason
    )


def test_proportions_are_those_of_the_photos() -> None:
    for size in ((4000, 3000), (1000, 4000), (500, 500)):
        values = wanted_resolution(make(size=size), LAPTOP, 4).values
        ratio = values["max_size"] / values["min_size"]
        assert ratio == pytest.approx(max(size) / min(size), rel=0.05)


def test_the_resolution_fits_into_the_memory() -> None:
    found = make(size=(4000, 3000), side=20)
    little = Machine(cores=2, memory=10**9)
    assert scale(found, little) < scale(found, LAPTOP)
    assert "1 GB of memory" in wanted_resolution(found, little, 4).reason


def test_queries_suffice_for_the_most_crowded_photo() -> None:
    for things in (1, 30, 120):
        number = choose_queries(make(things=things)).values["num_queries"]
        assert things < number <= 2 * things + 40
    choice = choose_queries(make(things=2000))
    assert choice.values["num_queries"] < 2000
    assert "not all learned" in choice.reason
    assert "no things" in choose_queries(make(things=0)).reason


def test_batches_are_no_larger_than_the_set() -> None:
    assert choose_batch(make(photos=2), LAPTOP, Settings()).values["batch_size"] == 2
    few, many = (choose_batch(make(), each, Settings()).values for each in (LAPTOP, GPU))
    assert few["batch_size"] < many["batch_size"] and few["lr"] < many["lr"]


def test_rates_follow_from_a_batch_size_or_a_rate_given_by_hand() -> None:
    larger = choose_batch(make(), LAPTOP, Settings({"batch_size": 16})).values
    assert larger["lr"] == pytest.approx(2 * choose_batch(make(), LAPTOP, Settings()).values["lr"])
    assert choose_batch(make(), LAPTOP, Settings({"lr": 1e-3})).values["lr_backbone"] == 1e-4


def test_one_given_side_determines_the_other() -> None:
    found = make(size=(800, 600))
    longer, shorter = Settings({"max_size": 400}), Settings({"min_size": 300})
    assert given_resolution(found, longer).values == {"min_size": 300}  # type: ignore[union-attr]
    assert given_resolution(found, shorter).values == {"max_size": 400}  # type: ignore[union-attr]
    assert given_resolution(found, Settings()) is None
