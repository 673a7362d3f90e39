"""The subcommand `label-errors`: labels that are probably wrong, in all photos of a set."""

from __future__ import annotations

import itertools
import shlex
from pathlib import Path

from rich.table import Table

from base.counting import counted
from base.errors import InputError
from base.locks import working_on
from commands.arguments import DatasetPath, Settings
from commands.printing import console
from commands.training import train

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
    if folds < 2:
        raise InputError(f"--folds: expected 2 or more, found {folds}")
    from base.durations import parse_duration
    from conversion.coco.results import INSTANCES
    from conversion.folding.folds import fold_folders, write_folds
    from conversion.folding.joining import join_predictions
    from evaluation.label_errors.listing import list_suspects
    from labelme_panoptic_detr.datasets import open_dataset

    given = itertools.chain.from_iterable(set)
    if time is None and not any(setting.startswith("epochs=") for setting in given):
        time = "10m"
    if time is not None:
        parse_duration(time, where="--time")
    opened = open_dataset(dataset)
    with working_on(out, "label-errors"):
        write_folds(opened, out, folds)
        folders = fold_folders(out, folds)
        for number, folder in enumerate(folders, start=1):
            if not (folder / "predictions" / INSTANCES).is_file():  # written last
                print(f"== fold {number} of {folds}", flush=True)
                train(folder, folder / "run", time=time, set=set)
                _predict(folder)
        predictions = [folder / "predictions" for folder in folders]
        prediction = join_predictions(predictions, out / "predictions")
        found = list_suspects(opened.panoptic, prediction, out, labels=opened.config.things)
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


def _predict(folder: Path) -> None:
    """Predict the photos of a fold with the model that was trained on the others."""
    from conversion.coco.panoptic import split_json
    from conversion.coco.panoptic_file import read_panoptic
    from detr.prediction.predict import predict
    from detr.prediction.sources import PhotoList

    panoptic = folder / "panoptic"
    photos = read_panoptic(split_json(panoptic, "test")).photos
    names = tuple(photo.file_name for photo in photos)
    predict(folder / "run", PhotoList(panoptic / "test", names), folder / "predictions")
