"""Learning rates, early stopping and the best epoch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from detr.config import TrainConfig
from detr.training.schedule import (
    Decay,
    best_epoch,
    find_decay,
    has_stalled,
    is_finished,
    rate_factor,
    stage_epochs,
)


def test_rates_rise_then_fall() -> None:
    def rates(config: TrainConfig, steps: list[int]) -> list[float]:
        return [rate_factor(config, "boxes", step=s, steps_per_epoch=10) for s in steps]

    step = TrainConfig(epochs=4, lr_drop=2, warmup_steps=4)
    assert rates(step, [0, 1, 3, 19, 20]) == pytest.approx([0.25, 0.5, 1, 1, 0.1])
    cosine = TrainConfig(epochs=4, schedule="cosine")
    assert rates(cosine, [0, 20, 40]) == pytest.approx([1, 0.5, 0])
    flat = TrainConfig(epochs=4, schedule="flat_cosine", warmup_steps=2)
    assert rates(flat, [0, 1, 20, 30, 40]) == pytest.approx([0.5, 1, 1, 0.51, 0.02])
    masks = TrainConfig(mask_epochs=4, mask_lr_drop=1)
    assert rate_factor(masks, "masks", step=10, steps_per_epoch=10) == pytest.approx(0.1)


def history(*losses: float) -> list[dict[str, object]]:
    return [{"epoch": i, "test": {"loss": x}} for i, x in enumerate(losses, start=1)]


def test_early_stopping_counts_from_the_best_epoch() -> None:
    config = TrainConfig(patience=2)
    assert best_epoch(history(3, 2, 2.5)) == 2
    assert not has_stalled(config, history(3, 2, 2.5))
    assert has_stalled(config, history(3, 2, 2.5, 2.5))
    assert not has_stalled(TrainConfig(), history(3, 2, 2.5, 2.5))


def test_scores_take_precedence_over_losses() -> None:
    scored = [{"epoch": 1, "scores": {"box_ap": 0.5}, "test": {"loss": 2.0}}]
    scored += [{"epoch": 2, "scores": {}, "test": {"loss": 1.0}}]
    assert best_epoch(scored) == 1
    assert best_epoch([{"epoch": 1, "test": {}}]) is None


def scored(*scores: float | None) -> list[dict[str, Any]]:
    """Return one line for each epoch; None for one without scores."""
    lines: list[dict[str, Any]] = [
        {"epoch": i, "tune": {"loss": 1.0}} for i in range(1, 1 + len(scores))
    ]
    for line, score in zip(lines, scores, strict=True):
        line |= {} if score is None else {"scores": {"pq": score}}
    return lines


def test_epochs_without_scores_do_not_count_as_stalled() -> None:
    config = TrainConfig(patience=2)
    assert not has_stalled(config, scored(None, 0.5, None, None, None))  # not scored since
    assert has_stalled(config, scored(None, 0.5, None, 0.5))


def test_losses_decide_between_equal_scores() -> None:
    """Early in training, all scores may be 0 although the model learns."""
    lines = scored(0.0, 0.0, 0.0)
    assert best_epoch(lines) == 1 and has_stalled(TrainConfig(patience=2), lines)
    for line, loss in zip(lines, (3.0, 2.0, 1.0), strict=True):
        line["tune"]["loss"] = loss
    assert best_epoch(lines) == 3 and not has_stalled(TrainConfig(patience=2), lines)
    lines[0]["scores"]["pq"] = 0.1
    assert best_epoch(lines) == 1


def test_losses_of_tuning_photos_rank_epochs() -> None:
    lines = [{"epoch": i, "tune": {"loss": x}} for i, x in enumerate((3, 2, 2.5), start=1)]
    assert best_epoch(lines) == 2
    assert best_epoch([{"epoch": 1, "tune": {}}]) is None


def trained(
    config: TrainConfig, scores: list[float], seconds: tuple[float, ...] = (1.0,)
) -> list[dict[str, Any]]:
    """Return the log of a stage until it is finished; the last score and time are repeated."""
    history: list[dict[str, Any]] = []
    while not is_finished(config, "joint", history):
        decay = find_decay(config, "joint", history)
        line: dict[str, Any] = {"epoch": len(history) + 1, "tune": {"loss": 1.0}}
        line |= {"scores": {"pq": scores[min(len(history), len(scores) - 1)]}}
        line |= {"seconds": seconds[min(len(history), len(seconds) - 1)]}
        line |= {"flat_epochs": decay.start, "decay_epochs": decay.epochs} if decay else {}
        history.append(line)
    return history


def test_rates_of_a_plateau_schedule_fall_when_scores_stall() -> None:
    config = TrainConfig(schedule="plateau", epochs=20, patience=2, warmup_steps=5)
    history = trained(
        config, [0.1, 0.2, 0.3, 0.4, 0.4, 0.3, 0.9]
    )  # the best of 6 epochs is the 4th
    decays = [find_decay(config, "joint", history[:epoch]) for epoch in range(len(history))]
    assert decays == [*[None] * 6, *[Decay(6, 3)] * 3]  # 6 flat epochs, and half as many more
    assert [line.get("flat_epochs") for line in history] == [None] * 6 + [6] * 3

    def rate(step: int) -> float:
        decay = decays[min(step // 10, 8)]
        return rate_factor(config, "joint", step=step, steps_per_epoch=10, decay=decay)

    assert [rate(0), rate(4), rate(59), rate(60)] == pytest.approx([0.2, 1, 1, 1])
    assert [rate(75), rate(90)] == pytest.approx([0.51, 0.02])
    assert sorted(map(rate, range(60, 90)), reverse=True) == [*map(rate, range(60, 90))]


def test_a_plateau_schedule_has_a_limit() -> None:
    config = TrainConfig(schedule="plateau", epochs=4, patience=2)
    assert stage_epochs(config, "joint") == 6
    history = trained(config, [i / 10 for i in range(1, 10)])
    assert [line.get("flat_epochs") for line in history] == [None] * 4 + [4] * 2
    assert stage_epochs(config, "joint", scored(0.5, 0.1, 0.1)) == 3 + 2
    assert len(trained(replace(config, epochs=1), [0.5])) == 2


def test_settings_changed_while_the_rates_fall_do_not_change_the_schedule() -> None:
    config = TrainConfig(schedule="plateau", epochs=20, patience=1)
    history = trained(config, [0.5, 0.4])
    assert [line.get("flat_epochs") for line in history] == [None, None, 2]
    for changed in (replace(config, patience=9), replace(config, epochs=2, patience=1)):
        assert find_decay(changed, "joint", history) == Decay(2, 1)
        assert is_finished(changed, "joint", history)
    assert not is_finished(replace(config, patience=9), "joint", history[:2])


@pytest.mark.parametrize(
    ("seconds", "flat", "epochs"),
    [
        ((10.0,), 5, 10),
        ((10.0, 10.0, 5.0), 8, 16),  # the first epochs were slow
        ((10.0, 10.0, 10.0, 10.0, 10.0, 20.0), 5, 10),  # too slow after the rates began to fall
        ((60.0,), 1, 2),  # one decaying epoch, although it exceeds the time
        ((30.0, 60.0), 2, 3),
    ],
)
def test_a_timed_schedule_fills_its_time(
    seconds: tuple[float, ...], flat: int, epochs: int
) -> None:
    config = TrainConfig(schedule="timed", train_time=100, epochs=3)
    history = trained(config, [0.5], seconds)
    assert [line.get("flat_epochs") for line in history] == [None] * flat + [flat] * (epochs - flat)
    assert len(history) == epochs == stage_epochs(config, "joint", history)


def test_the_rates_of_a_single_timed_epoch_fall() -> None:
    config = TrainConfig(schedule="timed", train_time=100, epochs=1)
    assert len(trained(config, [0.5], (300.0,))) == 1
    decay = find_decay(config, "joint", [])
    rates = [
        rate_factor(config, "joint", step=step, steps_per_epoch=10, decay=decay) for step in (0, 5)
    ]
    assert rates == pytest.approx([1, 0.51])


def test_a_stage_is_finished_after_its_last_epoch_or_early() -> None:
    config = TrainConfig(epochs=4, mask_epochs=1, patience=2)
    assert not is_finished(config, "boxes", [])
    assert not is_finished(config, "boxes", history(3, 2, 1))
    assert is_finished(config, "boxes", history(4, 3, 2, 1))
    assert is_finished(config, "boxes", history(1, 2, 2))
    assert is_finished(config, "masks", history(3))
