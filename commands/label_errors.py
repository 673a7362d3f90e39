"""The subcommand `label-errors`: labels that are probably wrong, in all photos of a set."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.table import Table

from base.counting import counted
from commands.arguments import DatasetPath, Settings
from commands.printing import console

SHOWN = 20  # suspects in the table


def label_errors(
    dataset: DatasetPath,
    out: Path,
    folds: int = 5,
    time: str | None = None,
    set: Settings = (),
) -> None:
    """Rank the labels that are probably wrong, with models that have not seen them.

    The photos are divided into folds. For each fold, a model is trained on the others and predicts
    its photos; then all labels are compared with these predictions. If the command is interrupted,
    run it again to continue. Once all photos are predicted, it only ranks the labels again.

    Args:
        dataset: folder with dataset.yaml; must be converted.
        out: folder for the folds, predictions/ and suspects.json, which `relabel` opens and
            `curate --label-errors` shows.
        folds: number of folds, and thus of trainings.
        time: how long each training may take, such as 90s or 2h; 10m unless `--set` has epochs.
        set: settings of the training, as for `train`.
    """
    from base.durations import parse_duration
    from labelme_panoptic_detr.datasets import open_dataset
    from labelme_panoptic_detr.label_errors import find_label_errors

    found = find_label_errors(
        open_dataset(dataset),
        out,
        folds=folds,
        time=None if time is None else parse_duration(time, where="--time"),
        settings=[value for values in set for value in values],
    )
    table = Table("photo", "suspicion", "score", "label", "prediction")
    for one in found.suspects[:SHOWN]:
        label = "-" if one.truth_id is None else one.category
        predicted = one.other_category or one.category
        table.add_row(one.file_name, one.kind, f"{one.score:.2f}", label, predicted)
    console.print(table)
    path = out / "suspects.json"
    suspects = counted(len(found.suspects), "suspicious label")
    print(f"{path}: {suspects}, the most suspicious first")
    command = shlex.join(["relabel", str(dataset), str(path), "--with-predictions"])
    print(f"to correct them: pipeline.py {command}")
    command = shlex.join(["curate", str(dataset), "--label-errors", str(out), "--app"])
    print(f"to see them in FiftyOne: pipeline.py {command}")
