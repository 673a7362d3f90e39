"""Curves as a figure: a row per stage, and no plot of scores where there is no curve."""

from __future__ import annotations

import numpy as np
import pytest

from base.errors import InputError
from evaluation.report.log import Epoch
from evaluation.report.plots import plot_log


def epoch(stage: str, number: int, *, pq: float | None = None) -> Epoch:
    losses = {"loss": 8.0 / number, "loss_dice": None, "loss_mask": 0.5 / number}
    scores = {} if pq is None else {"pq": pq}
    return Epoch(stage, number, train=losses, test={"loss": 9.0 / number}, scores=scores)


def test_every_stage_has_a_row() -> None:
    log = [epoch("boxes", 1), epoch("boxes", 2, pq=0.1)]
    log += [epoch("masks", 1, pq=0.25), epoch("masks", 2), epoch("masks", 3, pq=0.5)]
    figure = plot_log(log)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "boxes: total loss",
        "boxes: main losses",
        "masks: total loss",
        "masks: main losses",
        "masks: scores of test photos, %",
    ]
    training, test = figure.axes[0].lines
    assert (training.get_label(), test.get_label()) == ("training", "test")
    assert training.get_xydata().tolist() == [[1, 8], [2, 4]]
    assert test.get_xydata().tolist() == [[1, 9], [2, 4.5]]
    mask, _, dice, _ = figure.axes[3].lines
    assert mask.get_ydata()[0] == 0.5
    assert np.isnan(dice.get_ydata()).all()
    assert figure.axes[4].lines[0].get_xydata().tolist() == [[1, 25], [3, 50]]


def test_an_empty_log_is_refused() -> None:
    with pytest.raises(InputError, match="expected at least one epoch"):
        plot_log([])
