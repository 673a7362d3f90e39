"""Prediction: a loaded model and the photos that it segments, in memory and on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotation.photos.files import read_photo
from base.counting import counted
from base.errors import InputError
from conversion.coco.categories import Category
from labelme_panoptic_detr.datasets import photo_sources
from labelme_panoptic_detr.photos import PanopticPhoto

if TYPE_CHECKING:  # these load torch
    from detr.prediction.predictor import Predictor
    from detr.prediction.results import DecodedPhoto

PhotoLike = str | Path | NDArray[np.uint8]
"""The path of a photo, or its pixels (H, W, 3) uint8 RGB."""


@dataclass(frozen=True)
class Model:
    """A trained model that predicts the segments of photos; `load_model` makes one."""

    predictor: Predictor

    @property
    def categories(self) -> tuple[Category, ...]:
        """The categories that it can predict."""
        return self.predictor.classes.categories

    def predict(self, photo: PhotoLike) -> PanopticPhoto:
        """Predict one photo; see `predict_many`."""
        return next(self.predict_many([photo]))

    def predict_many(self, photos: Iterable[PhotoLike]) -> Iterator[PanopticPhoto]:
        """Predict photos in order; consecutive photos of one size are predicted together.

        Photos are read when they are needed, so there may be any number of them. Raises InputError
        if a photo cannot be read, or if an array is not (H, W, 3) uint8.
        """
        from detr.prediction.photos import predict_photos  # loads torch

        numbered = zip(count(1), photos)
        decoded = (_decode(photo, number) for number, photo in numbered)
        for found in predict_photos(self.predictor, decoded):
            rgb = np.ascontiguousarray(found.pixels[..., ::-1])
            yield PanopticPhoto(
                rgb, found.ids, found.photo, self.categories, tuple(found.instances)
            )


def load_model(
    source: str | Path, *, threshold: float | None = None, instance_threshold: float = 0.05
) -> Model:
    """Load a run, a checkpoint, or published weights by file or name, such as detr-r50-panoptic.

    `threshold` is the minimum score of a segment; by default, it is the one that training chose or
    configured. The model runs on a GPU if there is one. Raises InputError if there is no such model
    or if it predicts no masks.
    """
    from detr.prediction.thresholds import Thresholds
    from detr.weights.names import check_source

    thresholds = Thresholds(threshold, instance_threshold)
    check_source(source)
    from detr.prediction.predictor import find_model_file, load_predictor  # loads torch

    return Model(load_predictor(find_model_file(source), thresholds))


def predict(
    source: str | Path,
    *images: str | Path,
    out: str | Path,
    threshold: float | None = None,
    instance_threshold: float = 0.05,
    pictures: bool | None = None,
) -> Path:
    """Predict photos, folders, patterns and data sets; return the COCO panoptic set in `out`.

    `source` is that of `load_model`. `pictures` draws the segments over each photo; by default, for
    up to 1,000 photos. An `out` that is up to date is not written again. Raises InputError if there
    are no photos, if a photo cannot be read (after predicting all others), or if `out` contains
    other files.
    """
    from detr.prediction.place import check_place
    from detr.prediction.sources import MOST_PICTURES, find_photos
    from detr.prediction.thresholds import Thresholds
    from detr.weights.names import check_source

    if not images:
        raise InputError("IMAGES: expected one or more photos or folders, found none")
    thresholds = Thresholds(threshold, instance_threshold)
    check_source(source)
    photos = find_photos(*(one for path in images for one in photo_sources(Path(path))))
    draws = len(photos.names) <= MOST_PICTURES if pictures is None else pictures
    check_place(photos, Path(out))
    print(f"predict: {counted(len(photos.names), 'photo')} in {photos.root}", flush=True)
    from detr.prediction.predict import predict as run_prediction  # loads torch

    run_prediction(source, photos, Path(out), thresholds, pictures=draws)
    return Path(out) / "panoptic.json"


def _decode(photo: PhotoLike, number: int) -> DecodedPhoto:
    """Read a photo, or check an array."""
    from detr.prediction.results import DecodedPhoto

    if isinstance(photo, str | Path):
        return DecodedPhoto(number, Path(photo).as_posix(), read_photo(Path(photo)))
    array = np.asarray(photo)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
        raise InputError(
            f"photo {number}: expected a path or an array (H, W, 3) of uint8 RGB, found"
            f" {array.shape} of {array.dtype}"
        )
    return DecodedPhoto(number, f"array {number}", np.ascontiguousarray(array[..., ::-1]))
