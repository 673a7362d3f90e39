"""Subcommands that compare predictions with the ground truth: `evaluate` and `report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from base.errors import InputError
from base.files import digest
from base.parsing import write_json
from commands.arguments import RunPath, check_file
from commands.datasets import run_files
from commands.printing import console


def evaluate(
    paths: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN | TRUTH.json PREDICTION.json")],
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
        paths: a run, or two COCO panoptic files of any photos.
        json: also write the scores to this JSON file.
        dataset: data set of the run, if it was moved.
        split: split of the data set whose photos are scored; predictions of photos of other splits
            than test are in RUN/SPLIT/predictions.
        errors: also write a list of all errors to this CSV file, the most expensive first.
        compare: compare two predictions instead; paths are RUN_A RUN_B or TRUTH.json A.json B.json.
            Exits with status 1 if the PQ of B is significantly lower than that of A.
        official: of several crowds of one category, ignore only the last one, as panopticapi does.
    """
    check_file(json, "--json", ".json")
    check_file(errors, "--errors", ".csv")
    if compare:
        if errors is not None:
            raise InputError("--errors: expected without --compare, found both")
        _compare(*_three_files(paths, dataset, split), json, official=official)
        return
    truth, prediction = _compared(paths, dataset, split)
    from evaluation.errors.priced import price_matches
    from evaluation.scores.scores import evaluate_files
    from evaluation.scores.tables import scores_json, scores_table

    scores = evaluate_files(truth, prediction, official=official)
    priced = price_matches(scores.matches, scores.categories)
    console.print(scores_table(scores))
    console.print(priced.table())
    print(priced.sentence())
    if errors is not None:
        priced.write_csv(errors)
    if json is not None:
        write_json(json, {**scores_json(scores), "errors": priced.as_json()}, indent=2)


def _compared(paths: tuple[Path, ...], dataset: Path | None, split: str) -> tuple[Path, Path]:
    """Return the ground truth and the prediction to compare. Raises InputError for other paths."""
    if len(paths) == 1 and paths[0].suffix.lower() != ".json":
        files = run_files(paths[0], dataset, split=split)
        return files.truth, files.prediction
    if len(paths) != 2:
        found = " ".join(map(str, paths)) or "nothing"
        raise InputError(f"evaluate: expected RUN, or TRUTH.json PREDICTION.json, found {found}")
    _check_without_run(dataset, split)
    return paths[0], paths[1]


def _check_without_run(dataset: Path | None, split: str) -> None:
    """Raise InputError for options that only runs have."""
    if dataset is not None:
        raise InputError("--dataset: expected only with RUN, found TRUTH.json PREDICTION.json")
    if split != "test":
        raise InputError("--split: expected only with RUN, found TRUTH.json PREDICTION.json")


def _compare(truth_json: Path, a: Path, b: Path, json: Path | None, *, official: bool) -> None:
    """Compare predictions A and B, and exit with status 1 if B is significantly worse."""
    from conversion.coco.panoptic_file import read_panoptic
    from evaluation.scores.comparison import compare_scores
    from evaluation.scores.scores import evaluate_sets

    truth = read_panoptic(truth_json)
    before, after = (
        evaluate_sets(truth, read_panoptic(path, truth), official=official) for path in (a, b)
    )
    comparison = compare_scores(before, after)
    console.print(comparison.table())
    console.print(comparison.photos_table())
    print(comparison.sentence())
    if json is not None:
        write_json(json, comparison.as_json(), indent=2)
    if comparison.is_worse:
        sys.exit(1)


def _three_files(
    paths: tuple[Path, ...], dataset: Path | None, split: str
) -> tuple[Path, Path, Path]:
    """Return the ground truth and the predictions A and B of `--compare`.

    Raises InputError for other paths, and for runs with different ground truth.
    """
    if len(paths) == 3:
        _check_without_run(dataset, split)
        return paths[0], paths[1], paths[2]
    if len(paths) != 2 or any(path.suffix.lower() == ".json" for path in paths):
        found = " ".join(map(str, paths)) or "nothing"
        raise InputError(
            f"evaluate --compare: expected RUN_A RUN_B, or TRUTH.json A.json B.json, found {found}"
        )
    a, b = (run_files(path, dataset, split=split) for path in paths)
    if a.truth != b.truth and digest(a.truth) != digest(b.truth):
        raise InputError(
            f"{paths[1]}: expected predictions of {a.truth}, as those of {paths[0]}, found those"
            f" of {b.truth}, which differs"
        )
    return a.truth, a.prediction, b.prediction


def report(
    run: RunPath,
    rows: int = 100,
    seed: int = 0,
    dataset: Path | None = None,
    split: str = "test",
) -> None:
    """Write RUN/report/index.html: scores, loss curves, pictures of ground truth and prediction.

    Args:
        run: folder of a training run with predictions of the test photos.
        rows: number of test photos to show.
        seed: seed of the random choice of test photos.
        dataset: data set of the run, if it was moved.
        split: split of the data set whose photos are shown; for other splits than test, predictions
            and report are in RUN/SPLIT.
    """
    files = run_files(run, dataset, split=split)
    from evaluation.report.page import write_report

    written = write_report(
        files.truth,
        files.prediction,
        images=files.dataset.images,
        folder=files.folder,
        log=run / "log.jsonl",
        settings=(run / "config.yaml", files.dataset.root / "dataset.yaml"),
        title=f"{files.dataset.config.name} · {run.name}",
        rows=rows,
        seed=seed,
    )
    print(f"{written.page}: {'written' if written.fresh else 'up to date'}")
