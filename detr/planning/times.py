"""The expected duration of training, from the cost of a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from rich.table import Table

from base.durations import duration
from detr.config import TrainConfig
from detr.data.splits import Splits
from detr.planning.constants import (
    EPOCH,
    SCORED_PHOTO,
    SCORING,
    SLOWER,
    START,
    TESTED_PHOTO,
)
from detr.planning.cost import StepCost
from detr.planning.machine import Machine
from detr.training.schedule import stage_epochs


@dataclass(frozen=True)
class Photos:
    """Numbers of photos by their use."""

    trained: int
    held_out: int  # of the training split
    test: int
    scored: int  # during training: the held-out ones or, with `tune: 0`, those of the test split


@dataclass(frozen=True)
class Times:
    """Expected seconds of the parts of a stage."""

    once: float  # starting, decoding photos that are then kept, choosing thresholds
    step: float  # with reading
    steps: int  # of an epoch
    epoch: float  # training and computing the losses of photos that are not trained on
    scoring: float  # each time

    def total(self, epochs: int, score_every: int) -> float:
        """Return the seconds of a stage from the start of the program, with its last scoring."""
        scorings = ceil(epochs / score_every) if score_every else 0
        return self.once + epochs * self.epoch + scorings * self.scoring

    def epochs_in(self, seconds: float, score_every: int) -> int:
        """Return the number of epochs, at least 1, that fit into a time."""
        epochs = max(1, int((seconds - self.once) / self.epoch))
        while epochs > 1 and self.total(epochs, score_every) > seconds:
            epochs -= 1
        return epochs


def count_photos(splits: Splits) -> Photos:
    """Count the photos of splits by their use."""
    held_out = splits.tune.photos if splits.tune else ()
    return Photos(
        trained=len(splits.train.photos),
        held_out=len(held_out),
        test=len(splits.test.photos),
        scored=len(splits.held_out_set.photos),
    )


def expected_times(cost: StepCost, config: TrainConfig, photos: Photos, machine: Machine) -> Times:
    """Return the expected times of a stage, of which one step was measured."""
    step = SLOWER * step_seconds(cost, config.num_workers, machine)
    steps = ceil(photos.trained / cost.photos)
    photo = step / cost.photos
    decoding = 0.0 if config.num_workers else cost.reading_seconds - _reading(cost)
    tested = photo * config.test_scale**2
    # only the first process scores
    scoring = photos.scored * tested * machine.world * SCORED_PHOTO + SCORING
    return Times(
        once=START + steps * max(0.0, decoding) + (scoring if photos.held_out else 0.0),
        step=step,
        steps=steps,
        epoch=steps * step + photos.scored * tested * TESTED_PHOTO + EPOCH,
        scoring=scoring,
    )


def step_seconds(cost: StepCost, num_workers: int, machine: Machine) -> float:
    """Return the seconds of a step, with reading in this number of other processes."""
    if not num_workers:
        return cost.seconds + _reading(cost)
    taken = 0.0 if machine.gpu else cost.reading_seconds / machine.cores  # from the same cores
    return max(cost.seconds + taken, cost.reading_seconds / min(num_workers, machine.cores))


def _reading(cost: StepCost) -> float:
    """Return the seconds of reading a step's photos in the training process, after an epoch."""
    return cost.reading_seconds if cost.kept_seconds is None else cost.kept_seconds


def cost_table(costs: Sequence[StepCost], times: Sequence[Times], config: TrainConfig) -> Table:
    """Format the costs and times of all stages for the terminal, one column per stage."""
    title = "measured on a few steps per stage, without the feature cache"
    table = Table("", *(cost.stage for cost in costs), title=title)
    epochs = [stage_epochs(config, cost.stage) for cost in costs]
    totals = [t.total(n, config.score_every) for t, n in zip(times, epochs, strict=True)]
    rows = {
        "parameters": [f"{c.parameters / 1e6:.1f} M" for c in costs],
        "trained parameters": [f"{c.trained_parameters / 1e6:.1f} M" for c in costs],
        "FLOPs per step": [f"{(c.flops or 0) / 1e9:.1f} G" for c in costs],
        "peak memory": [f"{c.peak_memory / 1e9:.2f} GB" for c in costs],
        "time per step": [f"{t.step:.2f} s" for t in times],
        "time per epoch": [duration(t.epoch) for t in times],
        "epochs": [str(n) for n in epochs],
        "total time": [duration(total) for total in totals],
    }
    for name, values in rows.items():
        table.add_row(name, *values)
    return table
