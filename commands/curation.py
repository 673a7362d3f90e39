"""Subcommands that open FiftyOne: `curate`, `review` and `decide`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from annotation.dataset import Dataset
from annotation.decisions import FILE_NAME
from base.errors import InputError
from base.locks import working_on
from commands.arguments import DatasetPath, RunPath

MOST_PORT = 65535
STARTING = "starting FiftyOne and its database can take a minute"


def curate(
    dataset: DatasetPath,
    app: bool = False,
    port: int = 5151,
    remote: bool = False,
    label_errors: Path | None = None,
) -> None:
    """Load the set into FiftyOne: things, stuff, scenes, tags for splits and findings, and a map.

    Photos that look alike are near each other on the map. It is computed with a network that is
    installed with this project; nothing is downloaded.

    Args:
        dataset: folder with dataset.yaml; must be converted.
        app: open the App and wait.
        port: port of the App on 127.0.0.1.
        remote: print the ssh command that opens the App from another machine.
        label_errors: folder of `label-errors --out`, whose suspicious labels are shown from now on;
            if it has no list of them yet, `label-errors` runs first, which takes about an hour.
    """
    _check_port(port)
    from labelme_panoptic_detr.datasets import check, open_dataset

    opened = open_dataset(dataset)
    print(f"FiftyOne: loading {opened.panoptic}; {STARTING}", flush=True)
    from curation.app.app import check_port, open_app
    from curation.app.fields import SUSPICIOUS_LABELS, WORST_PHOTOS
    from curation.loading.load import load_dataset
    from labelme_panoptic_detr.embeddings import embed_photos

    if app:
        check_port(port)  # before the work; it may take minutes
    _rank_labels(opened, label_errors)
    with working_on(opened.root, "curate"):  # so that what is checked is what is loaded
        name = load_dataset(opened, check(opened), embed_photos, label_errors=label_errors)
    if app:
        view = SUSPICIOUS_LABELS if label_errors else WORST_PHOTOS
        open_app(name, port=port, remote=remote, view=view)


def review(
    run: RunPath,
    app: bool = True,
    port: int = 5151,
    remote: bool = False,
    dataset: Path | None = None,
    split: str = "test",
    label_errors: Path | None = None,
) -> None:
    """Load predictions into FiftyOne beside the ground truth, mark every segment, open the App.

    Args:
        run: folder of a training run with predictions.
        app: open the App and wait; --no-app only loads.
        port: port of the App on 127.0.0.1.
        remote: print the ssh command that opens the App from another machine.
        dataset: data set of the run, if it was moved.
        split: split of the data set whose photos are reviewed; for other splits than test,
            predictions and redraw.json are in RUN/SPLIT.
        label_errors: folder of suspicious labels, as for `curate`; the App opens with them.
    """
    _check_port(port)
    from labelme_panoptic_detr.datasets import check, run_files

    files = run_files(run, dataset, split=split)
    what = f"{files.dataset.root} and the predictions of {files.folder}"
    print(f"FiftyOne: loading {what}; {STARTING}", flush=True)
    from curation.app.app import check_port, open_app
    from curation.app.fields import SUSPICIOUS_LABELS, WORST_PHOTOS
    from curation.loading.load import load_dataset
    from curation.review.review import review as load_predictions
    from labelme_panoptic_detr.embeddings import embed_photos

    if app:
        check_port(port)  # before the work; it may take minutes
    _rank_labels(files.dataset, label_errors)
    with working_on(files.dataset.root, "review"):  # so that no other command comes in between
        checked = check(files.dataset)
        load_dataset(files.dataset, checked, embed_photos, label_errors=label_errors)
        name = load_predictions(files.dataset, files.truth, files.prediction, run=files.folder)
    redraw = str(files.folder / "redraw.json")
    command = shlex.join(["relabel", str(files.dataset.root), redraw, "--with-predictions"])
    print(f"to annotate the worst photos again: pipeline.py {command}")
    if app:
        view = SUSPICIOUS_LABELS if label_errors else WORST_PHOTOS
        open_app(name, port=port, remote=remote, view=view)


def _rank_labels(dataset: Dataset, out: Path | None) -> None:
    """Run `label-errors` if its folder has no list of suspicious labels yet."""
    from evaluation.label_errors.suspects import FILE_NAME as LIST

    if out is None or (out / LIST).exists():
        return
    from conversion.folding.folds import count_folds
    from labelme_panoptic_detr.label_errors import USUAL_TIME, find_label_errors

    print(
        f"{out}: has no {LIST} yet: training models, each for {USUAL_TIME} at most, to find"
        " suspicious labels; if you stop this, the same command continues",
        flush=True,
    )
    if folds := count_folds(out):  # of a `label-errors` that was stopped
        find_label_errors(dataset, out, folds=folds)
    else:
        find_label_errors(dataset, out)


def _check_port(port: int) -> None:
    if not 1 <= port <= MOST_PORT:
        raise InputError(f"--port: expected 1 to {MOST_PORT}, found {port}")


def decide(dataset: DatasetPath) -> None:
    """Carry decisions made in FiftyOne's App into the data set's files.

    The tags exclude, relabel, or another split of a photo go into curation.yaml, which `convert`
    applies. Segments whose label was changed, or which were deleted, are changed in the Labelme
    files; `validate --undo` restores these. If something cannot be carried over, it is listed, and
    the exit status is 1.

    Args:
        dataset: folder with dataset.yaml; must be loaded by `curate`.
    """
    from labelme_panoptic_detr.datasets import check, open_dataset, print_missing_decisions

    opened = open_dataset(dataset)
    path = opened.root / FILE_NAME
    print(f"FiftyOne: reading the tags and labels of {dataset}; {STARTING}", flush=True)
    from curation.decisions.decide import decide as decide_by_tags

    with working_on(opened.root, "decide"):
        decided = decide_by_tags(opened, check(opened))
    now, state = decided.now, "unchanged" if decided.now == decided.before else "written"
    counts = (f"{len(now.exclude)} excluded", f"{len(now.relabel)} to relabel")
    moved = f"{len(now.split)} assigned to a split"
    print(f"{path}: {state}: {', '.join((*counts, moved))}")
    for one in decided.corrections:
        print(f"{one.photo}: {'deleted' if one.label is None else f'now {one.label}'}")
    print_missing_decisions(opened)
    for problem in decided.problems:
        print(f"not carried over: {problem}")
    if now.relabel:
        words = ["relabel", str(opened.root), str(path)]
        if decided.run:
            words += ["--run", str(decided.run), "--with-predictions"]
        print(f"to annotate these photos again: pipeline.py {shlex.join(words)}")
    elif now != decided.before or decided.corrections:
        print(f"to apply the changes: pipeline.py {shlex.join(['convert', str(opened.root)])}")
    if decided.problems:
        sys.exit(1)
