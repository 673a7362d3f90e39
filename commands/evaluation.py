"""Subcommands that compare predictions with the ground truth: `evaluate` and `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from base.parsing import write_json
from commands.arguments import RunPath
from commands.datasets import run_files
from commands.printing import console


def evaluate(
    truth: Annotated[Positional[Path], arg(metavar="TRUTH.json")],
    prediction: Annotated[Positional[Path], arg(metavar="PREDICTION.json")],
    json: Path | None = None,
) -> None:
    """Score a panoptic prediction: PQ, SQ and RQ; box AP and mask AP if it contains scores.

    Args:
        truth: COCO panoptic JSON of the ground truth; its PNGs are in the folder of the same name.
        prediction: COCO panoptic JSON of the prediction for the same photos.
        json: also write the scores to this JSON file.
    """
    from evaluation.scores.scores import evaluate_files, scores_table

    scores = evaluate_files(truth, prediction)
    console.print(scores_table(scores))
    if json is not None:
        write_json(json, scores.as_json(), indent=2)


def report(run: RunPath, rows: int = 100, seed: int = 0) -> None:
    """Write RUN/report/index.html: scores, loss curves, pictures of ground truth and prediction.

    Args:
        run: folder of a training run with predictions of the test photos.
        rows: number of test photos to show.
        seed: seed of the random choice of test photos.
    """
    from evaluation.report.page import write_report

    files = run_files(run)
    written = write_report(
        files.truth,
        files.prediction,
        images=files.dataset.images,
        log=run / "log.jsonl",
        out=run / "report",
        redraw=run,
        title=f"{files.dataset.config.name} · {run.name}",
        rows=rows,
        seed=seed,
    )
    print(f"{written.page}: {'written' if written.fresh else 'up to date'}")
