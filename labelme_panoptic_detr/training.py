"""Training, with a callback per epoch, and the curves of its log."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from annotation.dataset import Dataset
from base.errors import InputError
from labelme_panoptic_detr.datasets import print_split_warnings

if TYPE_CHECKING:  # these load torch or matplotlib
    from detr.planning.plan import Request
    from detr.training.processes import Processes
    from evaluation.report.log import Epoch
    from evaluation.report.plots import LogFigure


def train(
    dataset: Dataset,
    run: str | Path,
    *,
    time: str | float | None = None,
    stage: Literal["boxes", "masks", "both", "joint"] = "both",
    config: str | Path | None = None,
    settings: Mapping[str, Any] | Sequence[str] = (),
    init: str | Path | None = None,
    dry_run: bool = False,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Path:
    """Train a run on a converted data set, or resume a run that was stopped; return its folder.

    Prints the settings that were chosen and a line per epoch.

    Args:
        dataset: the data set.
        run: folder for checkpoints, log.jsonl and config.yaml.
        time: how long the training may take, such as "10m", or in seconds; default: until the score
            stops rising.
        stage: of variant `detr`; "both" trains boxes, then masks.
        config: training configuration; default: train.yaml of the data set, if there is one.
        settings: settings that take precedence over the configuration, by name, or as "key=value".
        init: weights to start from: a checkpoint of a run, or a file or name of published weights.
        dry_run: only print the choices and what training would cost; train nothing.
        on_epoch: called after every epoch, when its checkpoint is written.

    Raises:
        InputError: if a setting is wrong, the set is not converted, the run cannot be resumed with
            these settings, a photo cannot be read, a loss is NaN or infinite, or memory runs out.
    """
    from base.durations import parse_duration
    from detr.settings import read_settings
    from detr.weights.names import check_source

    run = Path(run)
    seconds = parse_duration(time, where="time") if isinstance(time, str) else time
    check_run(run, where="run")
    default = dataset.root / "train.yaml"
    path = Path(config) if config is not None else default if os.path.lexists(default) else None
    given = read_settings(path, settings)
    source = None if init is None else str(init)
    if source is not None and not (run / "checkpoints").is_dir():  # a new run, which reads it
        check_source(source)
    if not (dataset.panoptic / "manifest.json").is_file():
        command = f"pipeline.py convert {shlex.quote(str(dataset.root))}"
        raise InputError(f"{dataset.panoptic}: missing or incomplete; build it with `{command}`")
    from detr.config import read_run
    from detr.planning.continued import is_started  # these load torch
    from detr.planning.plan import Request
    from detr.training.local_processes import local_count, train_in_processes

    root = str(dataset.root.resolve())
    asked = Request(root, given, stage, source, seconds, count_flops=dry_run)
    known = read_run(run).train if is_started(run) else given.config()
    train_in_processes(
        _train,
        (dataset, run, asked, dry_run),
        local_count(known),
        only_here={"on_epoch": on_epoch},
    )
    return run


def plot_log(log: Sequence[Epoch]) -> LogFigure:
    """Draw the losses and scores of a log by epoch, a row of plots per stage.

    The result is a matplotlib figure: a notebook shows it, and `savefig` saves it. Solid lines are
    the training photos, dashed ones the held-out or, if there are none, the test photos. Raises
    InputError if the log is empty.
    """
    from evaluation.report.plots import plot_log as plot

    return plot(log)


def check_run(run: Path, *, where: str) -> None:
    """Raise InputError, which names `where`, if the folder of a run is a file."""
    if run.exists() and not run.is_dir():
        raise InputError(f"{where}: expected a folder, found the file {run}")


def _train(
    processes: Processes,
    dataset: Dataset,
    run: Path,
    asked: Request,
    dry_run: bool,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> None:
    """Plan and train a run in one of the processes that train it."""
    from detr.planning.opening import opening_lines
    from detr.planning.plan import plan_run
    from detr.planning.times import cost_table
    from detr.training.train import stages_of
    from detr.training.train import train as run_training

    plan = plan_run(dataset.panoptic, run, asked, processes)
    train_config = plan.config.train
    if processes.is_first:
        print_split_warnings(dataset)
        for line in opening_lines(plan, run, stages_of(asked.stage, train_config)):
            print(line, flush=True)
    if not dry_run:
        run_training(dataset.panoptic, run, plan.config, asked.stage, processes, on_epoch=on_epoch)
    elif processes.is_first:
        Console(highlight=False).print(cost_table(plan.costs, plan.times, train_config))
