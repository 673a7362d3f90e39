"""Choices that depend on measured steps and on the time."""

from __future__ import annotations

from math import ceil, sqrt

from base.counting import counted
from base.durations import duration
from detr.config import TrainConfig
from detr.planning.choice import Choice
from detr.planning.constants import (
    FEW_SCORED,
    FREEZE_STEPS,
    FROZEN_STEP,
    LEAST_REDUCTION,
    LEAST_SHORT_SIDE,
    LEAST_STEPS,
    LONG_RUN,
    MOST_STEPS,
    PATIENCE_STEPS,
    SCORING_SHARE,
    STEPS_BETWEEN_SCORES,
    UNSCORED_STEPS,
    WARMUP_SHARE,
    WARMUP_STEPS,
)
from detr.planning.cost import StepCost
from detr.planning.machine import Machine
from detr.planning.set_rules import resolution
from detr.planning.survey import Survey
from detr.planning.times import Times, step_seconds


def affordable_resolution(
    wanted: Choice, survey: Survey, machine: Machine, *, step: float, seconds: float | None
) -> Choice:
    """Reduce the wanted resolution until enough steps fit into the time.

    `step` is the time of a step at the wanted resolution; it is proportional to the area.
    """
    time = LONG_RUN if seconds is None else seconds
    if machine.gpu is None:
        step *= FROZEN_STEP  # the backbone is frozen before the resolution is reduced
    wide, high = wanted.values["max_size"], wanted.values["min_size"]
    least = max(LEAST_REDUCTION, LEAST_SHORT_SIDE / high)
    share = max(sqrt(time / step / LEAST_STEPS), least)
    within = f"in {duration(LONG_RUN)}" if seconds is None else "into the time"
    why = f"reduced from {wide}x{high}, so that more steps fit {within}"
    reduced = resolution(survey, wide * share, why)
    return reduced if reduced.values["max_size"] < wide else wanted


def choose_frozen(machine: Machine, *, step: float, seconds: float | None) -> Choice | None:
    """Freeze the backbone if few steps fit into the time on a CPU; `step`: without freezing."""
    if machine.gpu or seconds is None or seconds / step >= FREEZE_STEPS:
        return None
    why = f"the backbone is frozen: otherwise, only about {round(seconds / step):,} steps would fit"
    return Choice({"lr_backbone": 0.0}, why)


def choose_workers(cost: StepCost, machine: Machine) -> Choice:
    """Choose the fewest reading processes of which more would hardly make steps faster."""
    times = [step_seconds(cost, workers, machine) for workers in range(machine.cores + 1)]
    number = next(n for n, time in enumerate(times) if time <= 1.1 * min(times))
    if not number and cost.kept_seconds is not None:
        return Choice({"num_workers": 0}, "the photos are kept in memory")
    why = f"reading the photos of a step takes {cost.reading_seconds:.2g} s, computing it"
    return Choice({"num_workers": number}, f"{why} {cost.seconds:.2g} s")


def choose_scoring(times: Times, scored: int, seconds: float | None) -> Choice:
    """Choose how many epochs lie between scorings of this many photos."""
    if not scored:
        return Choice({"score_every": 0}, "no photos are held out")
    by_time = times.scoring / (SCORING_SHARE * times.epoch)
    every = max(1, ceil(max(by_time, STEPS_BETWEEN_SCORES / times.steps)))
    scoring = f"scoring {counted(scored, 'photo')} takes about {duration(times.scoring)}"
    if seconds is not None and times.epochs_in(seconds, 0) <= every:
        return Choice({"score_every": 0}, f"{scoring}, too long for so few epochs")
    return Choice({"score_every": every}, f"{scoring}, an epoch {duration(times.epoch)}")


def choose_end(
    times: Times, config: TrainConfig, scored: int, seconds: float | None
) -> tuple[Choice, ...]:
    """Choose the schedule, and the number of epochs from the time, if one was asked for."""
    if seconds is not None:
        epochs = times.epochs_in(seconds, config.score_every)
        why = f"about {epochs} x {times.steps} steps of {times.step:.2g} s fit into the time"
        if times.total(epochs, config.score_every) > seconds:
            steps = f"{counted(times.steps, 'step')} of {times.step:.2g} s"
            why = f"the minimum, although {steps} exceed the time"
        scoring = times.scoring if config.score_every else 0.0
        left = round(max(1.0, seconds - times.once - scoring))
        return (Choice({"schedule": "timed", "train_time": left, "epochs": epochs}, why),)
    if scored < FEW_SCORED:
        epochs = ceil(UNSCORED_STEPS / times.steps)
        why = f"about {UNSCORED_STEPS:,} steps; scores of {counted(scored, 'photo')} do not"
        why += " show when to stop"
        return (Choice({"schedule": "flat_cosine", "epochs": epochs}, why),)
    patience = config.patience or max(3 * config.score_every, ceil(PATIENCE_STEPS / times.steps))
    epochs = max(patience, ceil(MOST_STEPS / times.steps))
    waited = f"{counted(patience, 'epoch')} ({counted(patience * times.steps, 'step')})"
    why = f"until PQ has not risen for {waited}"
    values = {"schedule": "plateau", "patience": patience, "epochs": epochs}
    return (Choice(values, f"{why}, then at lower rates"),)


def choose_warmup(times: Times, epochs: int) -> Choice:
    """Choose the number of steps over which the learning rates rise."""
    tenth = max(1, round(WARMUP_SHARE * times.steps * epochs))
    if tenth >= WARMUP_STEPS:
        return Choice({"warmup_steps": WARMUP_STEPS}, "less than a tenth of all steps")
    return Choice({"warmup_steps": tenth}, "a tenth of all steps")
