"""The plan of a run: its configuration, and what it is expected to cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from base.errors import InputError
from detr.config import RunConfig
from detr.data.splits import Splits, hold_out, read_splits
from detr.planning.choice import Choice, reasons_of
from detr.planning.continued import continue_run, is_started
from detr.planning.cost import StepCost, measure_steps
from detr.planning.machine import Machine, this_machine
from detr.planning.planner import Planner
from detr.planning.times import Times, count_photos, expected_times
from detr.settings import Settings
from detr.training.processes import Processes
from detr.training.schedule import stage_epochs
from detr.training.train import StageOption, stages_of
from detr.weights.checkpoint import checkpoint_path


@dataclass(frozen=True)
class Request:
    """What a person asked for; `seconds` is the time that the training may take, if limited."""

    dataset: str
    settings: Settings
    stage: StageOption = "both"
    init: str | None = None
    seconds: float | None = None
    count_flops: bool = False


@dataclass(frozen=True)
class Plan:
    """A run's configuration, the choices in it, and the expected costs of its stages.

    Nothing is measured for a run that is continued; `seconds` is then the remaining time.
    """

    config: RunConfig
    splits: Splits
    machine: Machine
    choices: tuple[Choice, ...] = ()
    costs: tuple[StepCost, ...] = ()
    times: tuple[Times, ...] = ()
    seconds: float | None = None
    note: str = ""


def plan_run(panoptic: Path, folder: Path, request: Request, processes: Processes) -> Plan:
    """Plan a new run in `folder`, or continue the run that was started there.

    A new run of `variant: fast` configures itself: all settings that were not given are chosen. A
    run that is continued keeps its settings.

    Raises InputError if the given settings and the time contradict each other, and as
    `measure_steps` does.
    """
    machine = this_machine(processes)
    if processes.broadcast(is_started(folder)):
        return _continued(panoptic, folder, request, machine, processes)
    _check_time(request)
    config = RunConfig(request.dataset, request.settings.config(), request.init)
    splits = hold_out(read_splits(panoptic), config.train)
    if request.settings.variant == "detr":
        return _measured(Plan(config, splits, machine), request, processes)
    planner = Planner(splits, machine, processes, request.settings, request.seconds)
    cost, choices = planner.choose(), planner.choices
    reasons = reasons_of(choices)
    config = RunConfig(request.dataset, planner.config, request.init, request.seconds, reasons)
    plan = Plan(config, splits, machine, choices)
    return _measured(plan, request, processes) if request.count_flops else _timed(plan, (cost,))


def _continued(
    panoptic: Path, folder: Path, request: Request, machine: Machine, processes: Processes
) -> Plan:
    """Return the plan of a run that was started, with measured costs for a dry run only."""
    continued = continue_run(
        folder, request.dataset, request.settings, init=request.init, seconds=request.seconds
    )
    splits = hold_out(read_splits(panoptic), continued.config.train)
    stages = stages_of(request.stage, continued.config.train)
    begun = all(checkpoint_path(folder, stage).exists() for stage in stages)
    plan = Plan(
        continued.config,
        splits,
        machine,
        continued.choices,
        seconds=continued.seconds_left if begun else None,  # the others were never timed
        note=continued.note,
    )
    return _measured(plan, request, processes) if request.count_flops else plan


def _check_time(request: Request) -> None:
    """Raise InputError if a time was asked for that cannot determine the number of epochs."""
    if request.seconds is None:
        return
    if request.settings.variant == "detr":
        raise InputError(
            "--time: `variant: detr` does not configure itself; set `epochs` and `mask_epochs`"
        )
    given = {"epochs", "schedule"} & request.settings.values.keys()
    if given:
        raise InputError(
            f"--time: expected no `{min(given)}`, which it determines; give one of them"
        )


def _measured(plan: Plan, request: Request, processes: Processes) -> Plan:
    """Measure a step of each stage, and add its costs and times to the plan."""
    stages = stages_of(request.stage, plan.config.train)
    flops = request.count_flops
    costs = measure_steps(plan.splits, plan.config.train, stages, processes, count_flops=flops)
    return _timed(plan, costs)


def _timed(plan: Plan, costs: tuple[StepCost, ...]) -> Plan:
    """Add costs, and the times that follow from them, to the plan."""
    train, photos = plan.config.train, count_photos(plan.splits)
    times = tuple(expected_times(cost, train, photos, plan.machine) for cost in costs)
    epochs = [stage_epochs(train, cost.stage) for cost in costs]
    total = sum(t.total(n, train.score_every) for t, n in zip(times, epochs, strict=True))
    seconds = total if plan.seconds is None else plan.seconds
    return replace(plan, costs=costs, times=times, seconds=seconds)
