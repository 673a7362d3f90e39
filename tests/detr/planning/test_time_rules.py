"""Choices that depend on the time and on measured steps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detr.planning.set_rules import wanted_resolution
from detr.planning.survey import survey
from detr.planning.time_rules import (
    affordable_resolution,
    choose_end,
    choose_frozen,
    choose_scoring,
    choose_warmup,
    choose_workers,
)
from detr.planning.times import Photos, Times, expected_times
from tests.detr.configs import fast_config
from tests.detr.planning.made import GPU, LAPTOP, make_set, step_cost

YARD = Photos(trained=431, held_out=48, test=121, scored=48)
CONFIG = fast_config(num_workers=0)


def yard_times(seconds: float = 0.4) -> Times:
    return expected_times(step_cost(seconds), CONFIG, YARD, LAPTOP)


@pytest.mark.parametrize("minutes", [2, 4, 13, 60])
@pytest.mark.parametrize("step", [0.02, 0.25, 1.0])
def test_the_epochs_fill_the_time_but_do_not_exceed_it(minutes: int, step: float) -> None:
    times = yard_times(step)
    config = replace(CONFIG, **choose_scoring(times, 48, minutes * 60).values)
    (choice,) = choose_end(times, config, 48, minutes * 60)
    config = replace(config, **choice.values)
    epochs, every = config.epochs, config.score_every
    assert config.schedule == "timed"
    assert 0 < config.train_time < minutes * 60
    assert times.total(epochs, every) <= minutes * 60 or epochs == 1
    assert times.total(epochs + 1, every) > minutes * 60


def test_photos_are_decoded_once_if_they_are_kept_in_memory() -> None:
    read = step_cost(0.4, reading_seconds=0.2)
    kept = replace(read, kept_seconds=0.01)
    slow, fast = (expected_times(each, CONFIG, YARD, LAPTOP) for each in (read, kept))
    assert fast.step < slow.step and fast.once > slow.once
    assert slow.total(1, 0) == pytest.approx(fast.total(1, 0), rel=0.1)


def test_a_run_trains_for_at_least_one_epoch() -> None:
    (choice,) = choose_end(yard_times(), CONFIG, 48, 1)
    assert choice.values["epochs"] == 1 and "exceed the time" in choice.reason


def test_without_a_time_a_run_ends_when_the_score_stops_rising() -> None:
    times = yard_times()
    (choice,) = choose_end(times, replace(CONFIG, score_every=2), 48, None)
    assert choice.values["schedule"] == "plateau"
    assert 2 < choice.values["patience"] < choice.values["epochs"]
    (given,) = choose_end(times, replace(CONFIG, patience=7), 48, None)
    assert given.values["patience"] == 7 and "7 epochs" in given.reason


def test_without_held_out_photos_a_run_has_a_number_of_steps() -> None:
    few = Photos(trained=5, held_out=0, test=1, scored=0)
    times = expected_times(step_cost(0.4), CONFIG, few, LAPTOP)
    assert choose_scoring(times, 0, None).values == {"score_every": 0}
    (choice,) = choose_end(times, CONFIG, 0, None)
    assert choice.values["schedule"] == "flat_cosine"
    assert choice.values["epochs"] * 2 >= 1000  # two steps an epoch


def test_scoring_takes_a_small_part_of_the_time() -> None:
    for held_out in (5, 48, 400):
        photos = replace(YARD, scored=held_out)
        times = expected_times(step_cost(0.4), CONFIG, photos, LAPTOP)
        every = choose_scoring(times, held_out, None).values["score_every"]
        assert times.scoring < 0.1 * every * times.epoch


def test_a_run_too_short_to_select_an_epoch_is_not_scored() -> None:
    times = yard_times()
    every = choose_scoring(times, 48, 3600).values["score_every"]
    assert every > 0
    enough = times.total(every, 0) + 1
    assert choose_scoring(times, 48, enough).values == {"score_every": 0}


def test_the_backbone_is_frozen_only_in_short_runs_on_a_cpu() -> None:
    short, long = (choose_frozen(LAPTOP, step=0.4, seconds=60 * m) for m in (3, 30))
    assert short is not None and short.values == {"lr_backbone": 0}
    assert long is None
    assert choose_frozen(LAPTOP, step=0.4, seconds=None) is None
    assert choose_frozen(GPU, step=0.4, seconds=60) is None


def test_the_resolution_is_reduced_if_too_few_steps_fit_into_the_time() -> None:
    found = survey(make_set(size=(2000, 1500), side=40))
    wanted = wanted_resolution(found, LAPTOP, 4)
    sizes = [
        affordable_resolution(wanted, found, LAPTOP, step=3, seconds=each).values["max_size"]
        for each in (10, 300, 1000, 10**5, None)
    ]
    assert sizes == sorted(sizes)
    assert 300 < sizes[0] < sizes[-1] == wanted.values["max_size"]
    tiny = survey(make_set(size=(160, 128), side=20))
    smallest = wanted_resolution(tiny, LAPTOP, 4)
    reduced = affordable_resolution(smallest, tiny, LAPTOP, step=9, seconds=9)
    assert reduced.values == {"min_size": 128, "max_size": 160}


def test_processes_read_photos_if_this_makes_steps_faster() -> None:
    def workers(seconds: float, reading: float, *, gpu: bool) -> int:
        cost = step_cost(seconds, reading_seconds=reading)
        return int(choose_workers(cost, GPU if gpu else LAPTOP).values["num_workers"])

    assert workers(0.4, 0.01, gpu=False) == 0
    assert workers(0.4, 0.4, gpu=False) > 0
    kept = step_cost(0.4, reading_seconds=0.4, kept_seconds=0.01)
    assert choose_workers(kept, LAPTOP).values["num_workers"] == 0
    assert workers(0.05, 0.04, gpu=True) >= 1
    assert workers(0.05, 0.3, gpu=True) >= 6


def test_the_rates_rise_over_a_small_part_of_the_steps() -> None:
    times = yard_times()
    short, long = (choose_warmup(times, epochs).values["warmup_steps"] for epochs in (1, 100))
    assert 0 < short <= times.steps / 5 and short < long < 10 * times.steps
