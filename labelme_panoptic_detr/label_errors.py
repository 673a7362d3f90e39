"""Labels that are probably wrong, found with models that have not seen them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotation.dataset import Dataset
from base.errors import InputError
from base.locks import working_on
from labelme_panoptic_detr.datasets import open_dataset
from labelme_panoptic_detr.training import train

if TYPE_CHECKING:
    from evaluation.label_errors.suspects import SuspectList

USUAL_TIME = "10m"


def find_label_errors(
    dataset: Dataset,
    out: str | Path,
    *,
    folds: int = 5,
    time: str | float | None = None,
    settings: Mapping[str, Any] | Sequence[str] = (),
) -> SuspectList:
    """Rank the labels of a converted data set that are probably wrong, the most suspicious first.

    For each fold, a model is trained on the photos of the others and predicts its photos. The same
    call continues after an interruption, and ranks again once all photos are predicted.

    Args:
        dataset: the data set.
        out: folder for the folds, predictions/ and suspects.json.
        folds: number of folds, and thus of trainings.
        time: how long each training may take, as for `train`; 10m unless `settings` have epochs.
        settings: those of `train`.

    Raises:
        InputError: if there are fewer than 2 folds, the set is not converted, or `train` raises it.
    """
    if folds < 2:
        raise InputError(f"--folds: expected 2 or more, found {folds}")
    from conversion.coco.results import INSTANCES
    from conversion.folding.folds import fold_folders, write_folds
    from conversion.folding.joining import join_predictions
    from evaluation.label_errors.listing import list_suspects

    out = Path(out)
    if time is None and not any(setting.partition("=")[0] == "epochs" for setting in settings):
        time = USUAL_TIME
    with working_on(out, "label-errors"):
        write_folds(dataset, out, folds)
        folders = fold_folders(out, folds)
        for number, folder in enumerate(folders, start=1):
            if not (folder / "predictions" / INSTANCES).is_file():  # written last
                print(f"== fold {number} of {folds}", flush=True)
                train(open_dataset(folder), folder / "run", time=time, settings=settings)
                _predict(folder)
        predictions = [folder / "predictions" for folder in folders]
        prediction = join_predictions(predictions, out / "predictions")
        return list_suspects(dataset.panoptic, prediction, out, labels=dataset.config.things)


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
