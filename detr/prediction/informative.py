"""The order in which new photos are annotated: those that teach the model most come first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conversion.coco.panoptic_file import read_panoptic
from conversion.coco.results import INSTANCES, read_results
from detr.prediction.descriptors import describe_photos
from detr.prediction.predict import predict
from detr.prediction.predictor import find_model_file, load_predictor
from detr.prediction.sources import PhotoList
from detr.prediction.thresholds import Thresholds

Floats = NDArray[np.floating[Any]]


def uncertainties(scores: Mapping[str, Iterable[float]], names: Iterable[str]) -> Floats:
    """Return for each photo the expected number of wrong decisions about its instances.

    An instance with score s would be wrong with the probability 1 - s if it is kept, and s if it is
    not, so that it counts min(s, 1 - s).
    """
    return np.array([sum(min(s, 1 - s) for s in scores.get(name, ())) for name in names])


def informative_order(uncertainty: Floats, new: Floats, known: Floats) -> list[int]:
    """Return the indices of N photos, the most informative first.

    `uncertainty` (N,) counts doubtful instances; `new` (N, C) and `known` (M, C) are unit vectors
    that describe these photos and those with annotations. Each photo is the one with the highest
    product of its uncertainty and its novelty, the distance to the most similar photo that is known
    or was chosen before it, so that similar photos do not follow each other. One doubtful
    instance is added to each photo, because a model may overlook everything in an unusual one.
    """
    doubt = uncertainty + 1
    novelty = 1 - (new @ known.T).max(1) if len(known) else np.ones(len(new))
    left, order = np.ones(len(new), bool), []
    for _ in range(len(new)):
        value = np.where(left, doubt * np.clip(novelty, 1e-6, None), -1)
        best = int(value.argmax())
        order.append(best)
        left[best] = False
        novelty = np.minimum(novelty, 1 - new @ new[best])
    return order


def order_photos(run: str | Path, photos: PhotoList, known: PhotoList, out: Path) -> list[str]:
    """Predict `photos` into `out` and return their names, the most informative first.

    `known` are the photos that are annotated. Raises InputError as `predict` does.
    """
    predict(run, photos, out)
    prediction = read_panoptic(out / "panoptic.json")
    names = {photo.id: photo.file_name for photo in prediction.photos}
    scores: defaultdict[str, list[float]] = defaultdict(list)
    for result in read_results(out / INSTANCES, prediction):
        scores[names[result["image_id"]]].append(float(result["score"]))
    predictor = load_predictor(find_model_file(run), Thresholds())
    new, old = (describe_photos(predictor, listed) for listed in (photos, known))
    order = informative_order(uncertainties(scores, photos.names), new, old)
    return [photos.names[index] for index in order]
