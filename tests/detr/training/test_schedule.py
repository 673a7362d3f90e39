"""Learning rates, early stopping and the best epoch."""

from __future__ import annotations

import pytest

from detr.config import TrainConfig
from detr.training.schedule import best_epoch, is_finished, rate_factor, stopped_early


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
    assert not stopped_early(config, history(3, 2, 2.5))
    assert stopped_early(config, history(3, 2, 2.5, 2.5))
    assert not stopped_early(TrainConfig(), history(3, 2, 2.5, 2.5))


def test_scores_take_precedence_over_losses() -> None:
    scored = [{"epoch": 1, "scores": {"box_ap": 0.5}, "test": {"loss": 2.0}}]
    scored += [{"epoch": 2, "scores": {}, "test": {"loss": 1.0}}]
    assert best_epoch(scored) == 1
    assert best_epoch([{"epoch": 1, "test": {}}]) is None


def test_a_stage_is_finished_after_its_last_epoch_or_early() -> None:
    config = TrainConfig(epochs=4, mask_epochs=1, patience=2)
    assert not is_finished(config, "boxes", [])
    assert not is_finished(config, "boxes", history(3, 2, 1))
    assert is_finished(config, "boxes", history(4, 3, 2, 1))
    assert is_finished(config, "boxes", history(1, 2, 2))
    assert is_finished(config, "masks", history(3))
