"""Evaluation of predictions, and the report of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from base.errors import InputError
from base.files import digest
from base.locks import working_on
from labelme_panoptic_detr.datasets import run_files

if TYPE_CHECKING:  # these take long to import
    from evaluation.errors.priced import PricedErrors
    from evaluation.report.page import Report
    from evaluation.scores.comparison import Comparison
    from evaluation.scores.scores import Scores


@dataclass(frozen=True)
class Evaluation:
    """The scores of a prediction, and its errors with their prices and 95 % intervals."""

    scores: Scores
    errors: PricedErrors

    def as_json(self) -> dict[str, Any]:
        """Return plain values, as `evaluate --json` writes them."""
        from evaluation.report.records import list_records
        from evaluation.scores.tables import scores_json

        values = {**scores_json(self.scores), "errors": self.errors.as_json()}
        for photo in list_records(self.errors):
            values["photos"][photo.match.truth.file_name]["price"] = photo.price
        return values


def evaluate(
    *paths: str | Path,
    dataset: str | Path | None = None,
    split: str = "test",
    official: bool = False,
) -> Evaluation:
    """Compare a prediction with the ground truth.

    Args:
        paths: a run, or two COCO panoptic files: the ground truth and the prediction of any photos.
        dataset: data set of the run, if it was moved.
        split: split of the run's data set; predictions of other splits than test are in
            RUN/SPLIT/predictions.
        official: of several crowds of one category, ignore only the last one, as panopticapi does.

    Raises:
        InputError: if a file is missing or wrong, or if the files do not belong together.
    """
    truth, prediction = _compared([Path(path) for path in paths], dataset, split)
    from evaluation.errors.priced import price_matches
    from evaluation.scores.scores import evaluate_files

    scores = evaluate_files(truth, prediction, official=official)
    return Evaluation(scores, price_matches(scores.matches, scores.categories))


def compare(
    *paths: str | Path,
    dataset: str | Path | None = None,
    split: str = "test",
    official: bool = False,
) -> Comparison:
    """Compare the predictions of two runs, or of two files with one ground truth, photo by photo.

    `paths` are two runs, A and B, or the ground truth and two predictions. The other arguments are
    those of `evaluate`, as are the errors raised.
    """
    truth_json, a, b = _three_files([Path(path) for path in paths], dataset, split)
    from conversion.coco.panoptic_file import read_panoptic
    from evaluation.scores.comparison import compare_scores
    from evaluation.scores.scores import evaluate_sets

    truth = read_panoptic(truth_json, needs_images=False)
    before, after = (
        evaluate_sets(truth, read_panoptic(path, truth), official=official) for path in (a, b)
    )
    return compare_scores(before, after)


def report(
    run: str | Path,
    *,
    rows: int = 100,
    seed: int = 0,
    dataset: str | Path | None = None,
    split: str = "test",
) -> Report:
    """Write RUN/report/index.html: scores, loss curves, and pictures of `rows` random photos.

    `seed` is that of the random choice; of other splits than test, the report is in RUN/SPLIT.
    Raises InputError as `evaluate` does.
    """
    run = Path(run)
    files = run_files(run, None if dataset is None else Path(dataset), split=split)
    from evaluation.report.page import write_report

    with working_on(files.folder / "report", "report"):
        return write_report(
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


def gallery(
    run: str | Path,
    page: str | Path,
    *,
    rows: int = 100,
    seed: int = 0,
    dataset: str | Path | None = None,
    split: str = "test",
) -> Path:
    """Write a Markdown page of random photos with small pictures; return their folder.

    `rows`, `seed` and `split` are those of `report`. Raises InputError as `evaluate` does.
    """
    run = Path(run)
    files = run_files(run, None if dataset is None else Path(dataset), split=split)
    from evaluation.report.gallery import write_gallery

    return write_gallery(
        files.truth,
        files.prediction,
        Path(page),
        images=files.dataset.images,
        title=f"Predictions of {run.name} on {files.dataset.config.name}",
        rows=rows,
        seed=seed,
    )


def _compared(paths: list[Path], dataset: str | Path | None, split: str) -> tuple[Path, Path]:
    """Return the ground truth and the prediction to compare. Raises InputError for other paths."""
    if len(paths) == 1 and paths[0].suffix.lower() != ".json":
        files = run_files(paths[0], None if dataset is None else Path(dataset), split=split)
        return files.truth, files.prediction
    if len(paths) != 2:
        found = " ".join(map(str, paths)) or "nothing"
        raise InputError(f"evaluate: expected RUN, or TRUTH.json PREDICTION.json, found {found}")
    _check_without_run(dataset, split)
    return paths[0], paths[1]


def _check_without_run(dataset: str | Path | None, split: str) -> None:
    """Raise InputError for options that only runs have."""
    if dataset is not None:
        raise InputError("--dataset: expected only with RUN, found TRUTH.json PREDICTION.json")
    if split != "test":
        raise InputError("--split: expected only with RUN, found TRUTH.json PREDICTION.json")


def _three_files(
    paths: list[Path], dataset: str | Path | None, split: str
) -> tuple[Path, Path, Path]:
    """Return the ground truth and the predictions A and B to compare.

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
    moved_to = None if dataset is None else Path(dataset)
    a, b = (run_files(path, moved_to, split=split) for path in paths)
    if a.truth != b.truth and digest(a.truth) != digest(b.truth):
        raise InputError(
            f"{paths[1]}: expected predictions of {a.truth}, as those of {paths[0]}, found those"
            f" of {b.truth}, which differs"
        )
    return a.truth, a.prediction, b.prediction
