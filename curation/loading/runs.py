"""The runs whose predictions a data set in FiftyOne shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import fiftyone as fo

_KEY = "runs"  # in the data set's info: their folders, the one that was reviewed last first


def prediction_of(run: Path) -> Path:
    """Return the path of a run's predictions of the test photos."""
    return run / "predictions" / "panoptic.json"


def reviewed_runs(samples: fo.Dataset) -> list[Path]:
    """Return the folders of the reviewed runs that still have predictions, the last one first."""
    runs = map(Path, samples.info.get(_KEY, ()))
    return [run for run in runs if prediction_of(run).is_file()]


def remember_runs(samples: fo.Dataset, runs: Sequence[Path]) -> None:
    """Store the folders of the runs, the one that was reviewed last first."""
    samples.info = {**samples.info, _KEY: [str(run.resolve()) for run in runs]}
    samples.save()
