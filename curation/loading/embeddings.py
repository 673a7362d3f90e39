"""Photos by what they show: a map of all photos in the App, unusual photos, and look-alikes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from annotation.dataset import Dataset
from base.files import digest
from curation.app.database import forget
from curation.app.fields import LOOK_ALIKES, PHOTO_MAP, REPRESENTATIVENESS, SIMILAR, UNIQUENESS
from curation.loading.declaring import declare, new_field
from curation.loading.labels import set_by_photo

Vectors = NDArray[np.float32]  # (N, C) unit vectors of photos
Embed = Callable[[Dataset, Sequence[str]], Vectors]  # of photos, by their paths below images/

FORMAT = "1"  # increase it if the same vectors give another map, so that it is computed again
FEWEST = 5  # different photos that make a map
MOST_PAIRS = 50  # of photos in the view of look-alikes
AT_ONCE = 256  # photos that are compared with all others at a time, to bound the memory
UNUSUAL = "most unusual photos"
_TINY = float(np.finfo(np.float32).tiny)
_FIELDS = {
    UNIQUENESS: "how unlike its nearest photos, relative to the most unusual photo",
    REPRESENTATIVENESS: "mean cosine similarity to all photos",
}


def has_embeddings(samples: fo.Dataset) -> bool:
    """Whether the map is complete, or was left out because there are too few photos."""
    fields = set(_FIELDS) <= set(samples.get_field_schema())
    runs = {PHOTO_MAP, SIMILAR} <= set(samples.list_brain_runs())
    return (fields and runs) or samples.info.get("embeddings") == ""


def show_embeddings(samples: fo.Dataset, split_of: Mapping[str, str], vectors: Vectors) -> None:
    """Compute what the App shows about the photos in `split_of` from their vectors.

    Does nothing if the photos and their splits are the same as before.
    """
    inputs = digest(FORMAT, repr(list(split_of.items())), vectors.tobytes())
    if samples.info.get("embeddings") == inputs and has_embeddings(samples):
        return
    forget(samples, "embeddings")
    earlier = {PHOTO_MAP, SIMILAR, UNIQUENESS}  # the last one is of earlier versions
    for key in earlier.intersection(samples.list_brain_runs()):
        samples.delete_brain_run(key)
    if len(np.unique(vectors, axis=0)) < FEWEST:
        _delete_rest(samples)
        inputs = ""
    else:
        names = list(split_of)
        print(f"FiftyOne: computing the map of {len(names):,} photos", flush=True)
        others = dict.fromkeys(n for n in samples.values("photo") if n and n not in split_of)
        density = vectors @ vectors.mean(0)
        declare(samples, {name: new_field(fo.FloatField, what) for name, what in _FIELDS.items()})
        for field, values in zip(_FIELDS, (rate_uniqueness(vectors), density), strict=True):
            by_photo = dict(zip(names, values.tolist(), strict=True))
            set_by_photo(samples, field, {**others, **by_photo})
        _compute(samples.select_by("photo", names, ordered=True), vectors)
        _save_views(samples, find_look_alikes(split_of, vectors))
    samples.info = {**samples.info, "embeddings": inputs}
    samples.save()


def _compute(photos: fo.DatasetView, vectors: Vectors) -> None:
    """Compute the map (t-SNE), and the index by which the App finds similar photos.

    FiftyOne's `compute_representativeness` is not used: the photos farthest from the centre of
    their cluster have its highest values. Ours is the information density of Settles and Craven,
    "An analysis of active learning strategies for sequence labeling tasks", 2008.
    """
    map_options = {"pca_dims": min(50, *vectors.shape), "seed": 0, "verbose": False}
    nearest = min(30.0, (len(vectors) - 1) / 3)
    with threadpool_limits(1):  # on a busy machine, two threads need seven times as long
        fob.compute_visualization(
            photos,
            embeddings=vectors,
            brain_key=PHOTO_MAP,
            method="tsne",
            perplexity=nearest,
            **map_options,
        )
        fob.compute_similarity(
            photos, embeddings=vectors, brain_key=SIMILAR, backend="sklearn", metric="cosine"
        )


def rate_uniqueness(vectors: Vectors) -> NDArray[np.float64]:
    """Return how unlike its nearest photos each photo is, relative to the most unusual one.

    There must be at least five photos. The values are those of FiftyOne's `compute_uniqueness`,
    which would hold the distances between all photos and their order in memory, more than a
    gigabyte for 10,000 photos: weighted means of the cosine distances, seen from the mean vector,
    to the second, third and fourth nearest photo. A copy of an unusual photo leaves it unusual.
    """
    centred = vectors - vectors.mean(0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), _TINY)
    means = []
    with threadpool_limits(1):  # as in `_compute`
        for start in range(0, len(centred), AT_ONCE):
            similarity = centred[start : start + AT_ONCE] @ centred.T  # (n, N)
            rows = np.arange(len(similarity))
            similarity[rows, start + rows] = -np.inf  # of the photo itself
            similarity.partition((-4, -3, -2), axis=1)
            distances = np.maximum(0, 1 - similarity[:, [-2, -3, -4]])
            means.append(distances @ np.array([0.6, 0.3, 0.1]))
    unlike = np.concatenate(means)
    return np.asarray(unlike / max(unlike.max(), _TINY), np.float64)


def _delete_rest(samples: fo.Dataset) -> None:
    samples.delete_sample_fields([name for name in _FIELDS if samples.has_sample_field(name)])
    for name in (UNUSUAL, LOOK_ALIKES):
        if samples.has_saved_view(name):
            samples.delete_saved_view(name)


def find_look_alikes(split_of: Mapping[str, str], vectors: Vectors) -> list[tuple[str, str]]:
    """Return pairs of a photo of another split and the most similar photo of train.

    There are at most MOST_PAIRS, the most similar ones first. Photos that show different things
    are among them if no others are more similar.
    """
    names = list(split_of)
    train = [i for i, name in enumerate(names) if split_of[name] == "train"]
    others = [i for i, name in enumerate(names) if split_of[name] != "train"]
    if not train or not others:
        return []
    known, nearest = vectors[train], []
    for i in others:
        similarity = known @ vectors[i]
        best = int(similarity.argmax())
        nearest.append((float(similarity[best]), i, train[best]))
    ranked = sorted(nearest, key=lambda one: (-one[0], names[one[1]]))[:MOST_PAIRS]
    return [(names[i], names[j]) for _, i, j in ranked]


def _save_views(samples: fo.Dataset, pairs: Sequence[tuple[str, str]]) -> None:
    unusual = samples.exists(UNIQUENESS).sort_by(UNIQUENESS, reverse=True)
    samples.save_view(UNUSUAL, unusual, overwrite=True)
    view = samples.select_by("photo", order_pairs(pairs), ordered=True)
    samples.save_view(LOOK_ALIKES, view, overwrite=True)


def order_pairs(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """List each photo of train after all photos of other splits with which it is paired."""
    others: dict[str, list[str]] = {}
    for other, train in pairs:
        others.setdefault(train, []).append(other)
    return list(dict.fromkeys(name for train, own in others.items() for name in (*own, train)))
