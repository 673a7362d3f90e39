"""Continuing a run: it keeps the settings that were chosen when it was started."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from base.durations import duration
from base.errors import InputError
from detr.config import RunConfig, read_run
from detr.planning.choice import Choice
from detr.settings import Settings
from detr.training.schedule import is_finished, stage_epochs
from detr.training.stage_model import STAGES
from detr.weights.checkpoint import checkpoint_path, load_history

Line = dict[str, Any]  # of the log


@dataclass(frozen=True)
class Continued:
    """The configuration of a run that is continued, and what to say about it."""

    config: RunConfig
    choices: tuple[Choice, ...]  # made when it was started
    seconds_left: float  # of the stages that have begun
    note: str


def is_started(folder: Path) -> bool:
    """Return whether a run has finished an epoch, after which its settings no longer change."""
    return any(checkpoint_path(folder, stage).exists() for stage in STAGES)


def continue_run(
    folder: Path,
    dataset: str,
    settings: Settings,
    *,
    init: str | None,
    seconds: float | None,
) -> Continued:
    """Return the configuration of a run that is continued; given settings take precedence.

    Raises InputError if another time is asked for than before, but the number of epochs was not
    chosen for a time, or the learning rates have begun to fall.
    """
    started, lines = read_run(folder), _finished_epochs(folder)
    given = replace(settings, values={"variant": started.train.variant, **settings.values})
    chosen = {key: getattr(started.train, key) for key in started.chosen}
    note = f"{folder}: continues with the settings in {folder / 'config.yaml'}"
    if seconds is not None and seconds != started.time:
        before = _check_time(folder, started, settings, lines)
        chosen["train_time"] = max(1.0, started.train.train_time + seconds - before)
        note += f", but with a total time of {duration(seconds)} instead of {duration(before)}"
    time = started.time if seconds is None else seconds
    config = RunConfig(dataset, given.config(chosen), init, time, started.chosen)
    return Continued(config, _stored_choices(config), _seconds_left(config, lines), note)


def _finished_epochs(folder: Path) -> list[Line]:
    """Return the lines of the log from the checkpoints: a kill may have left no log, or an old one.

    Raises InputError if a checkpoint is damaged.
    """
    paths = [checkpoint_path(folder, stage) for stage in STAGES]
    return [line for path in paths if path.exists() for line in load_history(path)]


def _stored_choices(config: RunConfig) -> tuple[Choice, ...]:
    keys: dict[str, list[str]] = {}
    for key, reason in config.chosen.items():
        keys.setdefault(reason, []).append(key)
    values = vars(config.train)
    return tuple(Choice({k: values[k] for k in each}, reason) for reason, each in keys.items())


def _check_time(folder: Path, started: RunConfig, settings: Settings, lines: list[Line]) -> float:
    """Return the time of a run, which may be changed; raises InputError if it may not."""
    if {"epochs", "schedule"} & settings.values.keys():
        given = min({"epochs", "schedule"} & settings.values.keys())
        raise InputError(f"--time: expected no `{given}`, which it determines; give one of them")
    if started.time is None or started.train.schedule != "timed":
        raise InputError(
            f"{folder}: was started without --time, so its time cannot be changed; leave out"
            " --time, or use another --run"
        )
    if lines[-1].get("decay_epochs"):
        raise InputError(
            f"{folder}: its time can no longer be changed, because its learning rates have begun"
            f" to fall; leave out --time, or start another run with `--init {folder}`"
        )
    return started.time


def _seconds_left(config: RunConfig, lines: list[Line]) -> float:
    """Return the remaining time of the stages that have begun, from the time of their epochs."""
    left = 0.0
    for stage in {line["stage"]: None for line in lines}:
        own = [line for line in lines if line["stage"] == stage]
        if not is_finished(config.train, stage, own):
            mean = sum(line["seconds"] for line in own) / len(own)
            left += mean * (stage_epochs(config.train, stage, own) - len(own))
    return left
