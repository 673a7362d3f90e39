"""The command line: from Labelme polygons to a reviewed panoptic DETR.

Each subcommand imports its room when it runs, so that `--help` and the light ones start at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from tyro.conf import Positional, UseAppendAction, arg

from annotation.dataset import Dataset, open_dataset
from annotation.findings import Finding
from annotation.report.listing import finding_lines, findings_table
from annotation.rules.validate import Checked, check_dataset
from base.errors import InputError
from base.parsing import write_json

DatasetPath = Annotated[Path, arg(metavar="DATASET", help="folder with dataset.yaml")]
RunPath = Annotated[Path, arg(metavar="RUN", help="folder of a training run")]
Values = Annotated[tuple[tuple[str, ...], ...], UseAppendAction, arg(metavar="KEY=VALUE ...")]

app = tyro.extras.SubcommandApp()
console = Console(highlight=False)


def main() -> None:
    """Run one subcommand; a user's mistake ends with one line and status 2."""
    try:
        app.cli(
            prog="pipeline.py", description="From Labelme polygons to a reviewed panoptic DETR."
        )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # as where `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # no permission, no space, a file where a folder should be
        print(f"error: {error.filename or 'system'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


@app.command
def sample(
    out: Annotated[Positional[Path], arg(metavar="OUT")],
    images: int = 600,
    seed: int = 0,
    flaws: bool = False,
) -> None:
    """Draw the synthetic set *yard*: construction-yard scenes with Labelme files and stuff.

    Args:
        out: folder of the new data set.
        images: number of photos.
        seed: other seeds draw other scenes.
        flaws: plant annotation mistakes and list them in flaws.json.
    """
    from samples.yard.sample import draw_yard

    draw_yard(out, images=images, seed=seed, flaws=flaws)


@app.command
def collect(
    paths: Annotated[Positional[tuple[Path, ...]], arg(metavar="SOURCE... DATASET")],
    long_side: int | None = None,
    every: float = 1.0,
) -> None:
    """Bring photos into a data set: upright, without place data, each once.

    Args:
        paths: photos, folders, zip files, videos; last the data set's folder, made if need be.
        long_side: shrink photos whose longer side has more pixels.
        every: seconds between two frames of a video.
    """
    from annotation.intake.collect import collect as collect_photos

    if len(paths) < 2:
        raise InputError(f"expected one or more sources and a data set, got {len(paths)} paths")
    collected = collect_photos(paths[:-1], paths[-1], long_side=long_side, every=every)
    for line in collected.lines():
        print(line)


@app.command(name="import")
def import_(
    source: Annotated[Positional[Path], arg(metavar="SOURCE")],
    dataset: Annotated[Positional[Path], arg(metavar="DATASET")],
    images: Path | None = None,
) -> None:
    """Bring a COCO set in as Labelme files: instances or panoptic, as CVAT and others write it.

    Args:
        source: a COCO JSON, or a folder with some and their photos.
        dataset: folder of the data set; made where it is missing.
        images: folder of the photos, where they are not found beside the JSON.
    """
    from conversion.importing.importer import import_coco

    for line in import_coco(source, dataset, images=images).lines():
        print(line)


@app.command
def annotate(dataset: Positional[DatasetPath], only: Path | None = None) -> None:
    """Open Labelme on the set's photos, those to be drawn first; then validate what was drawn.

    Args:
        dataset: folder with dataset.yaml.
        only: open just the photos named in this text file, in its order: one path below images/
            a line; - reads standard input.
    """
    from annotation.labeling.launch import annotate as open_labelme

    done = open_labelme(_open_or_propose(dataset), only)
    print(f"changed annotations: {len(done.changed)}")
    if done.findings:  # of these files only: of the others nothing is said
        _print_findings(done.findings)
    print(done.left)
    if any(finding.severity == "error" for finding in done.findings):
        sys.exit(1)


@app.command
def validate(
    dataset: Positional[DatasetPath],
    json: Path | None = None,
    html: Path | None = None,
    pixels: bool = True,
    fix: bool = False,
    confirm: bool = False,
    undo: bool = False,
) -> None:
    """Check every Labelme file and list all findings; exit status 1 where one is an error.

    Args:
        dataset: folder with dataset.yaml; without one, it is proposed from the labels found.
        json: write the findings to this file, too.
        html: write a page of the findings with pictures to this file, too.
        pixels: decode the photos, too: broken ones, copies, others than were drawn on.
        fix: mend what can be mended safely first; originals stay beside it, as *.json.orig.
        confirm: delete the originals that --fix kept.
        undo: put them back.
    """
    if fix + confirm + undo > 1:
        raise InputError("--fix, --confirm, --undo: expected one of them, got several")
    opened = _open_or_propose(dataset)
    if confirm or undo:
        _end_fixes(opened, undo=undo)
    checked = _check(opened, pixels=pixels)
    if fix and _fix(opened, checked):
        checked = _check(opened, pixels=pixels)
    _print_findings(checked.findings)
    if json is not None:
        write_json(json, {"findings": checked.findings}, indent=2)
    if html is not None:
        from annotation.report.page import write_page

        write_page(html, opened, checked)
        print(f"{html}: written")
    if any(finding.severity == "error" for finding in checked.findings):
        sys.exit(1)


def _fix(dataset: Dataset, checked: Checked) -> bool:
    """Apply the safe fixes and say what was done and left; whether anything was done."""
    from annotation.fixing.fix import fix_dataset

    fixes = fix_dataset(dataset, checked)
    for one in fixes:
        print(one.line)
    done = any(one.done for one in fixes)
    if done:
        print("originals are kept as *.json.orig: --confirm deletes them, --undo puts them back")
    return done


def _end_fixes(dataset: Dataset, *, undo: bool) -> None:
    from annotation.fixing.originals import confirm_fixes, undo_fixes

    if not undo:
        print(f"originals deleted: {len(confirm_fixes(dataset))}")
        return
    undone = undo_fixes(dataset)
    print(f"originals put back: {len(undone.restored)}")
    for file in undone.changed:
        print(f"{file}: changed since the fix, left as it is; {file}.orig holds the original")


@app.command
def stuff(dataset: Positional[DatasetPath], weights: str, confidence: float = 0.5) -> None:
    """Let a panoptic DETR say where stuff is: DATASET/stuff_predicted, a source for `convert`.

    Args:
        dataset: folder with dataset.yaml.
        weights: published panoptic weights, a file or a name such as detr-r50-panoptic; or a run.
        confidence: least score of a segment.
    """
    from detr.prediction.predict import predict as run_prediction
    from detr.prediction.predictor import Thresholds

    opened = open_dataset(dataset)
    out = dataset / "stuff_predicted"
    run_prediction(weights, opened.images, out, Thresholds(confidence))
    print(f"{out}: written; name it in {dataset / 'dataset.yaml'}:")
    print(f"  stuff_sources:\n    - prediction: {out.name}/panoptic.json")
    print(f"      confidence: {confidence:g}")


@app.command
def convert(dataset: Positional[DatasetPath], scheduler: str | None = None) -> None:
    """Build panoptic/: Labelme things painted over stuff, as standard COCO, in splits.

    Only what has changed is built anew. Annotations with errors are left out and listed; the exit
    status is then 1.

    Args:
        dataset: folder with dataset.yaml.
        scheduler: address of a Dask scheduler whose workers paint, such as tcp://127.0.0.1:8786.
    """
    from conversion.building.build import convert as build

    opened = open_dataset(dataset)
    built = build(opened, scheduler=scheduler)
    state = "built" if built.fresh else "up to date"
    counts = ", ".join(f"{count} {name}" for name, count in built.photos.items())
    print(f"{opened.panoptic}: {state}: {counts} photos, {built.segments} segments")
    for what, count in built.changes.items():
        print(f"{what.replace('_', ' ')}: {count} (by photo in manifest.json)")
    for file, why in built.left_out:
        print(f"left out: {file}: {why}")
    if built.left_out:
        sys.exit(1)


@app.command
def export(
    dataset: Positional[DatasetPath], format: Literal["yolo-seg", "semantic", "coco"], out: Path
) -> None:
    """Write the set for other trainers: YOLO segmentation, semantic PNGs, COCO instances.

    Args:
        dataset: folder with dataset.yaml, converted; coco needs no conversion.
        format: yolo-seg has an outline a thing; semantic a PNG of class ids a photo, 255 is void;
            coco is one JSON of whole outlines, as drawn, for all photos.
        out: new folder; for coco the JSON file.
    """
    from conversion.exporting.export import export as run_export
    from conversion.exporting.instances import export_instances

    opened = open_dataset(dataset)
    if format != "coco":
        print(f"{out}: {run_export(opened, format, out)} photos exported")
        return
    exported = export_instances(opened, out)
    print(f"{out}: {exported.photos} photos, {exported.instances} instances exported")
    for why in exported.left_out:
        print(f"left out: {why}")
    if exported.left_out:
        sys.exit(1)


@app.command
def curate(dataset: Positional[DatasetPath]) -> None:
    """Load the set into FiftyOne: instances, stuff scene, tags for splits and findings."""
    from curation.loading.load import load_dataset

    opened = open_dataset(dataset)
    load_dataset(opened, _check(opened))


@app.command
def train(
    dataset: Positional[DatasetPath],
    run: Path,
    stage: Literal["boxes", "masks", "both", "joint"] = "both",
    config: Path | None = None,
    set: Values = (),
    init: str | None = None,
    dry_run: bool = False,
) -> None:
    """Train DETR: boxes, then masks on the frozen box model; goes on where it stopped.

    Args:
        dataset: folder with dataset.yaml, converted.
        run: folder for checkpoints, log.jsonl and config.yaml.
        stage: what to train; both: boxes, then masks; joint: boxes and masks at once.
        config: training configuration; default: DATASET/train.yaml, or DETR's own values.
        set: single values of it; of a key that is given twice, the later one.
        init: weights to start from: a run's checkpoint, a file of published weights or the name of
            one, such as detr-r50; what fits is kept, classes of the same name too.
        dry_run: measure one step a stage, print what the training would cost, train nothing.
    """
    from detr.config import RunConfig, load_config
    from detr.training.dry_run import cost_table, measure_costs
    from detr.training.train import stages_of
    from detr.training.train import train as run_training

    opened = open_dataset(dataset)
    default = dataset / "train.yaml"
    path = config or (default if default.is_file() else None)
    values = load_config(path, [value for values in set for value in values])
    if dry_run:
        console.print(cost_table(measure_costs(opened.panoptic, values, stages_of(stage))))
    else:
        run_training(opened.panoptic, run, RunConfig(str(dataset.resolve()), values, init), stage)


@app.command
def predict(
    run: Annotated[Positional[str], arg(metavar="RUN")],
    images: Annotated[Positional[Path], arg(metavar="IMAGES")],
    out: Path,
    threshold: float | None = None,
    instance_threshold: float = 0.05,
) -> None:
    """Write a run's predictions for any folder of photos as a COCO panoptic set.

    Args:
        run: folder of a training run, a file of published weights, or their name, as
            detr-r50-panoptic.
        images: folder of photos.
        out: folder for panoptic.json, its PNGs and instances.json.
        threshold: least score of a segment; default: the run's own, or DETR's 0.85.
        instance_threshold: least score of an instance in instances.json.
    """
    from detr.prediction.predict import predict as run_prediction
    from detr.prediction.predictor import Thresholds

    run_prediction(run, images, out, Thresholds(threshold, instance_threshold))


@app.command
def onnx(run: Annotated[Positional[str], arg(metavar="RUN")], out: Path) -> None:
    """Write a trained model as ONNX, for programs without torch.

    The input `image` is one normalised photo (1, 3, H, W) of any size; the outputs are
    `pred_logits`, `pred_boxes` and, where masks were trained, `pred_masks`.

    Args:
        run: folder of a training run, a file of published weights, or their name.
        out: the file to write.
    """
    from detr.prediction.export_onnx import export_onnx

    export_onnx(run, out)
    print(f"{out}: written")


@app.command
def evaluate(
    truth: Annotated[Positional[Path], arg(metavar="TRUTH.json")],
    prediction: Annotated[Positional[Path], arg(metavar="PREDICTION.json")],
    json: Path | None = None,
) -> None:
    """Score a panoptic prediction: PQ, SQ, RQ; box and mask AP where it has scores.

    Args:
        truth: COCO panoptic JSON, its PNGs in the folder of that name.
        prediction: another one, for the same photos.
        json: write the scores to this file, too.
    """
    from evaluation.scores.scores import evaluate_files, scores_table

    scores = evaluate_files(truth, prediction)
    console.print(scores_table(scores))
    if json is not None:
        write_json(json, scores.as_json(), indent=2)


@app.command
def report(run: Positional[RunPath], rows: int = 100, seed: int = 0) -> None:
    """Write RUN/report/index.html: scores, loss curves, test photos with truth and prediction.

    Args:
        run: folder of a training run with predictions of the test photos.
        rows: number of test photos to show.
        seed: decides which.
    """
    from evaluation.report.page import write_report

    dataset, truth, prediction = _run_files(run)
    report = write_report(
        truth,
        prediction,
        images=dataset.images,
        log=run / "log.jsonl",
        out=run / "report",
        title=f"{dataset.config.name} · {run.name}",
        rows=rows,
        seed=seed,
    )
    print(f"{report.page}: {'written' if report.fresh else 'up to date'}")


@app.command
def review(run: Positional[RunPath], app: bool = True, port: int = 5151) -> None:
    """Load predictions into FiftyOne beside the truth, mark hits and misses, open the App.

    Args:
        run: folder of a training run with predictions of the test photos.
        app: open the App and wait; --no-app only loads.
        port: of the App, on 127.0.0.1.
    """
    from curation.app.app import open_app
    from curation.loading.load import load_dataset
    from curation.review.review import review as load_predictions

    dataset, truth, prediction = _run_files(run)
    load_dataset(dataset, _check(dataset))
    name = load_predictions(dataset, truth, prediction, run=run)
    print(f"to redraw the worst: pipeline.py annotate {dataset.root} --only {run / 'redraw.txt'}")
    if app:
        open_app(name, port=port)


def _run_files(run: Path) -> tuple[Dataset, Path, Path]:
    """The data set of a run, its test truth and the run's predictions of it."""
    from detr.config import read_run

    dataset = open_dataset(Path(read_run(run).dataset))
    prediction = run / "predictions" / "panoptic.json"
    if not prediction.is_file():
        test = dataset.panoptic / "test"
        command = f"predict {run} {test} --out {prediction.parent}"
        raise InputError(f"{prediction}: missing; make it with `pipeline.py {command}`")
    return dataset, dataset.panoptic / "annotations" / "panoptic_test.json", prediction


def _check(dataset: Dataset, *, pixels: bool = False) -> Checked:
    """All findings on a set, those on its split included."""
    from conversion.building.split import split_findings

    checked = check_dataset(dataset, pixels=pixels)
    return replace(checked, findings=(*checked.findings, *split_findings(dataset, checked.records)))


def _open_or_propose(root: Path) -> Dataset:
    """The data set; where it has no `dataset.yaml`, with one proposed from its labels."""
    from annotation.intake.propose import propose_config

    path = root / "dataset.yaml"
    if root.is_dir() and not path.exists():
        things = propose_config(root).things
        print(f"{path}: proposed from the labels found ({len(things)} things); look at it")
    return open_dataset(root)


def _print_findings(findings: Sequence[Finding]) -> None:
    for line in finding_lines(findings):
        print(line)
    console.print(
        findings_table(findings) if findings else "no findings: every annotation can be converted"
    )


if __name__ == "__main__":
    main()
