"""Subcommands for the model: `train`, `predict`, `onnx` and `weights`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from commands.arguments import DatasetPath, RunOrWeights, RunPath, Settings, check_file


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
        stage: both trains boxes, then masks; joint trains both at once, and is the only stage of
            variant fast.
        config: training configuration; default: DATASET/train.yaml, if there is one.
        set: settings that take precedence over the configuration; if a key is repeated, its last
            value is used.
        init: weights to start from: a checkpoint of a run, or a file or name of published weights.
        dry_run: print the choices and what training would cost, measured on a few steps; train
            nothing.
    """
    from base.durations import parse_duration

    seconds = None if time is None else parse_duration(time, where="--time")
    from labelme_panoptic_detr.datasets import open_dataset
    from labelme_panoptic_detr.training import check_run
    from labelme_panoptic_detr.training import train as run_training

    check_run(run, where="--run")
    run_training(
        open_dataset(dataset),
        run,
        time=seconds,
        stage=stage,
        config=config,
        settings=[value for values in set for value in values],
        init=init,
        dry_run=dry_run,
    )


def predict(
    run: RunOrWeights,
    images: Annotated[
        Positional[tuple[Path, ...]], arg(metavar="IMAGES...", help_behavior_hint="(required)")
    ],
    out: Path,
    threshold: float | None = None,
    instance_threshold: float = 0.05,
    pictures: bool | None = None,
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
    from labelme_panoptic_detr.prediction import predict as run_prediction

    run_prediction(
        run,
        *images,
        out=out,
        threshold=threshold,
        instance_threshold=instance_threshold,
        pictures=pictures,
    )


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


def weights(run: RunPath, out: Path) -> None:
    """Write a small file for predicting with a run's model, to keep or to share.

    It holds the weights in half precision, the categories, the settings and the thresholds, but
    nothing that is needed only to continue training. `predict`, `onnx` and `train --init` accept
    it.

    Args:
        run: training run whose masks are trained.
        out: file to write, with the suffix .pt.
    """
    check_file(out, "--out", ".pt")
    from detr.prediction.small import write_small  # loads torch

    write_small(run, out)
    print(f"{out}: written, {out.stat().st_size / 1e6:.1f} MB")
