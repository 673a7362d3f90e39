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
    """Numbers of photos: trained on, held out of training for scores, and of the test split."""

    trained: int
    held_out: int
    test: int


@dataclass(frozen=True)
class Times:
    """Expected seconds of the parts of a stage."""

    step: float  # with reading
    steps: int  # of an epoch
    epoch: float  # training and computing the losses of photos that are not trained on
    scoring: float  # each time

    def total(self, epochs: int, score_every: int) -> float:
        """Return the seconds of a stage from the start of the program, with its last scoring."""
        scorings = ceil(epochs / score_every) if score_every else 0
        return START + epochs * self.epoch + scorings * self.scoring

    def epochs_in(self, seconds: float, score_every: int) -> int:
        """Return the number of epochs, at least 1, that fit into a time."""
        epochs = max(1, int((seconds - START) / self.epoch))
        while epochs > 1 and self.total(epochs, score_every) > seconds:
            epochs -= 1
        return epochs


def count_photos(splits: Splits) -> Photos:
    """Count the photos of splits by their use."""
    held_out = splits.tune.photos if splits.tune else ()
    return Photos(len(splits.train.photos), len(held_out), len(splits.test.photos))


def expected_times(cost: StepCost, config: TrainConfig, photos: Photos, machine: Machine) -> Times:
    """Return the expected times of a stage, of which one step was measured."""
    step = SLOWER * step_seconds(cost, config.num_workers, machine)
    steps = ceil(photos.trained / cost.photos)
    photo = step / cost.photos
    scored = photos.held_out or photos.test
    return Times(
        step=step,
        steps=steps,
        epoch=steps * step + scored * photo * TESTED_PHOTO + EPOCH,
        # only the first process scores
        scoring=scored * photo * machine.world * SCORED_PHOTO + SCORING,
    )


def step_seconds(cost: StepCost, num_workers: int, machine: Machine) -> float:
    """Return the seconds of a step, with reading in this number of other processes."""
    if not num_workers:
        return cost.seconds + cost.reading_seconds
    taken = 0.0 if machine.gpu else cost.reading_seconds / machine.cores  # from the same cores
    return max(cost.seconds + taken, cost.reading_seconds / min(num_workers, machine.cores))


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
