"""The sides of the step benchmark about `variant: fast` run, on small photos."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.detr_fast import (
    STUFF_NAMES,
    THINGS,
    fast_classes,
    fast_config,
    fast_step,
    make_segments,
    prediction,
)
from benchmarks.detr_inputs import CLOCK
from benchmarks.detr_steps import CASES


def test_photos_have_things_on_bands_of_stuff() -> None:
    (segments,) = make_segments(1, width=320, height=256)
    isthing = [fast_classes().category(int(label)).isthing for label in segments.labels]
    assert sum(isthing) <= THINGS
    assert isthing.count(False) == len(STUFF_NAMES)
    assert np.unique(segments.indices).tolist() == list(range(1, len(isthing) + 1))


@pytest.mark.parametrize("side", ["ours", "ours-frozen-float32"])
def test_a_training_step_measures_its_parts(side: str) -> None:
    torch.manual_seed(0)
    CLOCK.seconds.clear()
    fast_step(side, batch=1, width=64, height=64)()
    assert set(CLOCK.seconds) == {"matching", "forward", "backward", "clipping and optimiser"}
    assert (fast_config(side).lr_backbone == 0) == ("frozen" in side)


@pytest.mark.parametrize("side", CASES["fast prediction with masks, 320x256"].sides)
def test_a_prediction_runs(side: str) -> None:
    torch.manual_seed(0)
    prediction(side, width=64, height=64)()


def test_targets_are_shares_and_seconds() -> None:
    assert CASES["fast step, batch 4, 320x256"].targets() == "ours 0.4 s, ours-frozen 0.4 s"
    assert CASES["fast prediction with masks, 320x256"].targets() == "fast 0.333 of published"
