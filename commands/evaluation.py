"""Subcommands that compare predictions with the ground truth: `evaluate` and `report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from base.errors import InputError
from base.parsing import write_json
from commands.arguments import RunPath, check_file
from commands.printing import console


def evaluate(
    paths: Annotated[
        Positional[tuple[Path, ...]],
        arg(metavar="RUN | TRUTH.json PREDICTION.json", help_behavior_hint="(required)"),
    ],
    json: Path | None = None,
    dataset: Path | None = None,
    split: str = "test",
    official: bool = False,
    errors: Path | None = None,
    compare: bool = False,
) -> None:
    """Score a panoptic prediction, and say what each kind of error costs.

    The scores are PQ, SQ and RQ, mIoU, and box AP and mask AP if the prediction contains scores.

    Args:
        paths: a run, or two COCO panoptic JSON files.
        json: also write the scores to this JSON file.
        dataset: data set of the run, if it was moved.
        split: split of the data set whose photos are scored; predictions of photos of other splits
            than test are in RUN/SPLIT/predictions.
        errors: also write a list of all errors to this CSV file, the most expensive first.
        compare: compare two predictions: RUN_A RUN_B or TRUTH.json A.json B.json.
            Exits with status 1 if the PQ of B is significantly lower than that of A.
        official: of several crowds of one category, ignore only the last one, as panopticapi does.
    """
    check_file(json, "--json", ".json")
    check_file(errors, "--errors", ".csv")
    if compare:
        if errors is not None:
            raise InputError("--errors: expected without --compare, found both")
        _compare(paths, json, dataset=dataset, split=split, official=official)
        return
    from evaluation.scores.tables import scores_table
    from labelme_panoptic_detr.evaluation import evaluate as run_evaluation

    evaluation = run_evaluation(*paths, dataset=dataset, split=split, official=official)
    console.print(scores_table(evaluation.scores))
    console.print(evaluation.errors.table())
    print(evaluation.errors.sentence())
    if errors is not None:
        evaluation.errors.write_csv(errors)
    if json is not None:
        write_json(json, evaluation.as_json(), indent=2)


def _compare(
    paths: tuple[Path, ...], json: Path | None, *, dataset: Path | None, split: str, official: bool
) -> None:
    """Compare predictions A and B, and exit with status 1 if B is significantly worse."""
    from labelme_panoptic_detr.evaluation import compare

    comparison = compare(*paths, dataset=dataset, split=split, official=official)
    console.print(comparison.table())
    photos = comparison.photos_table()
    if photos.row_count:
        console.print(photos)
    print(comparison.sentence())
    if json is not None:
        write_json(json, comparison.as_json(), indent=2)
    if comparison.is_worse:
        sys.exit(1)


def report(
    run: RunPath,
    rows: int = 100,
    seed: int = 0,
    dataset: Path | None = None,
    split: str = "test",
    gallery: Path | None = None,
) -> None:
    """Write RUN/report/index.html: scores, loss curves, pictures of ground truth and prediction.

    Args:
        run: folder of a training run with predictions.
        rows: number of photos to show.
        seed: seed of the random choice of photos.
        dataset: data set of the run, if it was moved.
        split: split of the data set whose photos are shown; for other splits than test, predictions
            and report are in RUN/SPLIT.
        gallery: also write this Markdown file of the same photos, with small pictures to publish.
    """
    check_file(gallery, "--gallery", ".md")
    from labelme_panoptic_detr.evaluation import gallery as write_gallery
    from labelme_panoptic_detr.evaluation import report as write_report

    written = write_report(run, rows=rows, seed=seed, dataset=dataset, split=split)
    print(f"{written.page}: {'written' if written.fresh else 'up to date'}")
    if gallery is not None:
        pictures = write_gallery(run, gallery, rows=rows, seed=seed, dataset=dataset, split=split)
        print(f"{gallery}: written; pictures in {pictures}")
