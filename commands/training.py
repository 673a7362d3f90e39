"""Subcommands for the model: `train`, `predict` and `onnx`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import DisallowNone, Positional, arg

from base.errors import InputError
from commands.arguments import DatasetPath, RunOrWeights, Settings, check_file
from commands.datasets import open_dataset, photo_sources, print_split_warnings
from commands.printing import console

if TYPE_CHECKING:  # these load torch
    from annotation.dataset import Dataset
    from detr.planning.plan import Request
    from detr.training.processes import Processes


def train(
    dataset: DatasetPath,
    run: Path,
    time: str | None = None,
    stage: Literal["boxes", "masks", "both", "joint"] = "both",
    config: Path | None = None,
    set: Settings = (),
    init: str | None = None,
    dry_run: bool = False,
) -> None:
    """Train DETR; resume a run that was stopped.

    Settings that are not given are chosen for the photos, the machine and the time, and printed
    with the reasons; `--set variant=detr` trains the published variant with its published settings
    instead. That variant trains boxes, then masks on the frozen box model; `variant: fast` trains
    both together.

    A run can start from other weights: it uses the parameters that fit, and the outputs of
    classes with the same name.

    Args:
        dataset: folder with dataset.yaml; must be converted.
        run: folder for checkpoints, log.jsonl and config.yaml.
        time: how long the training may take, such as 90s, 10m or 2h; default: until the score stops
            rising.
        stage: both trains boxes, then masks; joint trains both at once, always for variant fast.
        config: training configuration; default: DATASET/train.yaml, if there is one.
        set: settings that take precedence over the configuration; if a key is repeated, its last
            value is used.
        init: weights to start from: a checkpoint of a run, or a file or name of published weights.
        dry_run: print the choices and what training would cost, measured on a few steps; train
            nothing.
    """
    from base.durations import parse_duration
    from detr.settings import read_settings
    from detr.weights.names import check_source

    seconds = None if time is None else parse_duration(time, where="--time")
    if run.exists() and not run.is_dir():
        raise InputError(f"--run: expected a folder, found the file {run}")
    opened = open_dataset(dataset)
    default = dataset / "train.yaml"
    path = config or (default if default.is_file() else None)
    settings = read_settings(path, [value for values in set for value in values])
    if init is not None and not (run / "checkpoints").is_dir():  # a new run, which reads it
        check_source(init)
    if not (opened.panoptic / "manifest.json").is_file():
        command = f"pipeline.py convert {shlex.quote(str(dataset))}"
        raise InputError(f"{opened.panoptic}: missing or incomplete; build it with `{command}`")
    from detr.config import read_run
    from detr.planning.continued import is_started  # these load torch
    from detr.planning.plan import Request
    from detr.training.local_processes import local_count, train_in_processes

    asked = Request(str(dataset.resolve()), settings, stage, init, seconds, count_flops=dry_run)
    known = read_run(run).train if is_started(run) else settings.config()
    train_in_processes(_train, (opened, run, asked, dry_run), local_count(known))


def _train(processes: Processes, opened: Dataset, run: Path, asked: Request, dry_run: bool) -> None:
    """Plan and train a run in one of the processes that train it."""
    from detr.planning.opening import opening_lines
    from detr.planning.plan import plan_run
    from detr.planning.times import cost_table
    from detr.training.train import stages_of
    from detr.training.train import train as run_training

    plan = plan_run(opened.panoptic, run, asked, processes)
    train_config = plan.config.train
    if processes.is_first:
        print_split_warnings(opened)
        for line in opening_lines(plan, run, stages_of(asked.stage, train_config)):
            print(line, flush=True)
    if not dry_run:
        run_training(opened.panoptic, run, plan.config, asked.stage, processes)
    elif processes.is_first:
        console.print(cost_table(plan.costs, plan.times, train_config))


def predict(
    run: RunOrWeights,
    images: Annotated[Positional[tuple[Path, ...]], arg(metavar="IMAGES...")],
    out: Path,
    threshold: float | None = None,
    instance_threshold: float = 0.05,
    pictures: DisallowNone[bool | None] = None,
) -> None:
    """Predict photos with a run; write a COCO panoptic set, and pictures of the segments.

    Args:
        run: training run, file of published weights, or published name such as detr-r50-panoptic.
        images: photos, folders of photos, patterns such as 'photos/*.jpg', or data sets.
        out: folder for panoptic.json, its PNGs, instances.json and pictures.
        threshold: minimum score of a segment; default: those that training chose or configured.
        instance_threshold: minimum score of an instance in instances.json.
        pictures: draw the segments over each photo; default: for up to 1,000 photos.
    """
    from detr.prediction.place import check_place
    from detr.prediction.sources import MOST_PICTURES, find_photos
    from detr.prediction.thresholds import Thresholds
    from detr.weights.names import check_source

    if not images:
        raise InputError("IMAGES: expected one or more photos or folders, found none")
    thresholds = Thresholds(threshold, instance_threshold)
    check_source(run)
    photos = find_photos(*(source for path in images for source in photo_sources(path)))
    draws = len(photos.names) <= MOST_PICTURES if pictures is None else pictures
    check_place(photos, out)
    print(f"predict: {len(photos.names)} photos in {photos.root}", flush=True)
    from detr.prediction.predict import predict as run_prediction  # loads torch

    run_prediction(run, photos, out, thresholds, pictures=draws)


def onnx(run: RunOrWeights, out: Path) -> None:
    """Export a trained model as ONNX, for programs without torch.

    The input `image` is one normalised photo (1, 3, H, W) of any size; the outputs are
    `pred_logits`, `pred_boxes`, `pred_masks` if masks were trained, and with `variant: fast` also
    `pred_presence` of stuff.

    Args:
        run: training run, file of published weights, or published name such as detr-r50-panoptic.
        out: ONNX file to write.
    """
    from detr.weights.names import check_source

    check_file(out, "--out", ".onnx")
    check_source(run)
    print(f"onnx: exporting {run}; this takes a minute or two", flush=True)
    from detr.prediction.export_onnx import export_onnx  # loads torch

    export_onnx(run, out)
    print(f"{out}: written")
