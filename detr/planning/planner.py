"""Choosing the settings of a new run."""

from __future__ import annotations

from time import monotonic

from detr.config import TrainConfig
from detr.data.splits import Splits
from detr.planning.choice import Choice, left_open, values_of
from detr.planning.constants import PROBED_LONG_SIDE
from detr.planning.cost import StepCost, measure_steps
from detr.planning.machine import Machine
from detr.planning.set_rules import (
    choose_batch,
    choose_queries,
    given_resolution,
    resolution,
    wanted_resolution,
)
from detr.planning.survey import survey
from detr.planning.time_rules import (
    affordable_resolution,
    choose_end,
    choose_frozen,
    choose_scoring,
    choose_warmup,
    choose_workers,
)
from detr.planning.times import count_photos, expected_times, step_seconds
from detr.settings import Settings
from detr.training.processes import Processes


class Planner:
    """Chooses settings one after the other, because later choices depend on earlier ones.

    Settings that were given are not chosen. `splits` has photos held out as configured.
    """

    def __init__(
        self,
        splits: Splits,
        machine: Machine,
        processes: Processes,
        settings: Settings,
        seconds: float | None,
    ) -> None:
        self._start = monotonic()
        self._splits, self._machine, self._processes = splits, machine, processes
        self._settings, self._seconds = settings, seconds
        self._survey = survey(splits.train)
        self.choices: tuple[Choice, ...] = ()

    @property
    def config(self) -> TrainConfig:
        """The configuration with the choices made so far."""
        return self._settings.config(values_of(self.choices))

    def choose(self) -> StepCost:
        """Make all choices, in `choices`; return the measured cost of a step with them.

        Raises InputError as `measure_steps` does.
        """
        found, machine, settings = self._survey, self._machine, self._settings
        self._add(choose_queries(found), choose_batch(found, machine, settings))
        cost = self._choose_model()
        self._add(choose_workers(cost, machine))
        photos = count_photos(self._splits)
        times = expected_times(cost, self.config, photos, machine)
        self._add(choose_scoring(times, photos.scored, self._seconds_left()))
        if not {"epochs", "schedule"} & settings.values.keys():
            left = self._seconds_left()
            self._add(*choose_end(times, self.config, photos.scored, left))
        self._add(choose_warmup(times, self.config.epochs))
        return cost

    def _choose_model(self) -> StepCost:
        """Choose the resolution and what is frozen; return the cost of a step."""
        found, machine = self._survey, self._machine
        given = given_resolution(found, self._settings)
        wanted = given or wanted_resolution(found, machine, self.config.batch_size)
        full = probed = self._with(wanted)
        if full.max_size > PROBED_LONG_SIDE:
            probed = self._with(resolution(found, PROBED_LONG_SIDE, ""))
        cost = self._measure(probed)
        step = step_seconds(cost, 0, machine)
        if given is None:
            whole = step * _area(full) / _area(probed)
            left = self._seconds_left()
            wanted = affordable_resolution(wanted, found, machine, step=whole, seconds=left)
        self._add(wanted)
        self._freeze(step * _area(self.config) / _area(probed))
        return cost if self.config == probed else self._measure(self.config)

    def _freeze(self, step: float) -> None:
        """Choose whether the backbone is frozen; `step` is the time of a step if it is not."""
        frozen = choose_frozen(self._machine, step=step, seconds=self._seconds_left())
        if frozen:
            self.choices = tuple(choice.without(frozen.values) for choice in self.choices)
            self._add(frozen)

    def _add(self, *choices: Choice) -> None:
        self.choices += left_open(choices, self._settings)

    def _with(self, choice: Choice) -> TrainConfig:
        added = left_open([choice], self._settings)
        return self._settings.config(values_of((*self.choices, *added)))

    def _measure(self, config: TrainConfig) -> StepCost:
        return measure_steps(self._splits, config, ("joint",), self._processes)[0]

    def _seconds_left(self) -> float | None:
        """Return what is left of the time, at least 1 s, the same in all processes."""
        if self._seconds is None:
            return None
        return self._processes.broadcast(max(1.0, self._seconds - (monotonic() - self._start)))


def _area(config: TrainConfig) -> int:
    return config.min_size * config.max_size
