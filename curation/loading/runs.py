"""The predictions that a data set in FiftyOne shows, by their folder.

That is the folder of a run for the split `test`, and for other splits a folder in it with the name
of the split.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it takes long to import, and `relabel` needs only paths
    import fiftyone as fo

_KEY = "runs"  # in the data set's info: their folders, the one that was reviewed last first


def prediction_of(run: Path) -> Path:
    """Return the path of the predictions in a folder."""
    return run / "predictions" / "panoptic.json"


def split_of(run: Path) -> str:
    """Return the split whose photos the predictions in a folder are about."""
    run = run.resolve()
    return run.name if (run.parent / "config.yaml").is_file() else "test"


def run_name(run: Path) -> str:
    """Return the name of a run, with the split of the predictions if that is not `test`."""
    run, split = run.resolve(), split_of(run)
    return run.name if split == "test" else f"{run.parent.name} ({split})"


def predict_command(run: Path, panoptic: Path) -> str:
    """Return the command that predicts the photos of a folder's split again."""
    split, out = split_of(run), prediction_of(run).parent
    trained = run if split == "test" else run.resolve().parent
    words = ["predict", str(trained), str(panoptic / split), "--out", str(out)]
    return f"pipeline.py {shlex.join(words)}"


def reviewed_runs(samples: fo.Dataset) -> list[Path]:
    """Return the folders reviewed so far that still have predictions, the last one first."""
    runs = map(Path, samples.info.get(_KEY, ()))
    return [run for run in runs if prediction_of(run).is_file()]


def remember_runs(samples: fo.Dataset, runs: Sequence[Path]) -> None:
    """Store the reviewed folders, the last one first."""
    samples.info = {**samples.info, _KEY: [str(run.resolve()) for run in runs]}
    samples.save()
