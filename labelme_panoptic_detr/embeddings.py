"""Embeddings of the photos of a data set, each of which is computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotation.dataset import Dataset
from conversion.building.photo_values import values_of_photos


def embed_photos(dataset: Dataset, names: Sequence[str]) -> NDArray[np.float32]:
    """Return (N, 320) unit vectors of photos; `names` are their paths below `images/`.

    The vectors are those of `detr.prediction.descriptors.describe_untrained`. Photos with the same
    contents as before are not read again. Raises InputError if a photo cannot be read.
    """
    vectors = values_of_photos(dataset, names, _embed, file="embeddings.sqlite")
    return np.stack([np.frombuffer(vector, np.float32) for vector in vectors])


def _embed(photos: Sequence[Path]) -> Iterator[bytes]:
    from detr.prediction.descriptors import describe_untrained  # loads torch

    return (vector.tobytes() for vector in describe_untrained(photos))
