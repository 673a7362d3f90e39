"""AP and AR of photos drawn again and again, from the matches of one evaluation.

A photo that is drawn twice has its instances twice. The figures are those that hotcoco gives for
such a set, except that instances of equal scores may be in another order. Following COCO, precision
is interpolated at 101 values of recall, and categories without true instances have no AP.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from hotcoco import COCOeval
from numpy.typing import NDArray

from evaluation.scores.bootstrap import Floats

RECALLS = np.linspace(0, 1, 101)
AT_ONCE = 4_000_000  # numbers in an array, to bound the memory
_TINY = 1e-12  # in place of zero instances


@dataclass(frozen=True)
class Resampled:
    """AP and AR (R,) of R sets of photos; NaN for a set without true instances."""

    ap: Floats
    ar: Floats


@dataclass(frozen=True)
class _Instances:
    """The D predicted instances of a category in order of score, and the true ones of N photos."""

    photo: NDArray[np.int64]  # (D,) position in the list of photos
    hit: NDArray[np.bool_]  # (T, D) at each IoU threshold
    ignored: NDArray[np.bool_]  # (T, D) matched with a crowd
    truth: Floats  # (N,)


def resample(evaluation: COCOeval, photo_ids: Sequence[int], weights: Floats) -> Resampled:
    """Return AP and AR of sets of the N photos `photo_ids` with the weights (R, N)."""
    parts = [_of_category(each, weights) for each in _instances(evaluation, photo_ids)]
    ap = np.array([part.ap for part in parts])  # (C, R)
    ar = np.array([part.ar for part in parts])
    known = ~np.isnan(ap)
    n = np.where(known.any(0), known.sum(0), np.nan)
    return Resampled(np.nansum(ap, 0) / n, np.nansum(ar, 0) / n)


def _instances(evaluation: COCOeval, photo_ids: Sequence[int]) -> Iterator[_Instances]:
    position = {photo_id: number for number, photo_id in enumerate(photo_ids)}
    everything = tuple(evaluation.params.area_rng[0])  # not only small, medium or large ones
    entries = [e for e in evaluation.eval_imgs if e and tuple(e["aRng"]) == everything]
    entries.sort(key=lambda entry: entry["category_id"])
    for _, group in groupby(entries, key=lambda entry: entry["category_id"]):
        of_category = list(group)
        photos = np.array([position[e["image_id"]] for e in of_category])
        truth = np.zeros(len(photo_ids))
        truth[photos] = [np.count_nonzero(~np.asarray(e["gtIgnore"], bool)) for e in of_category]
        numbers = [len(e["dtScores"]) for e in of_category]
        scores = np.concatenate([np.asarray(e["dtScores"], float) for e in of_category])
        order = np.argsort(-scores, kind="stable")
        matched, ignored = (
            np.concatenate([np.asarray(e[key], bool) for e in of_category], axis=1)[:, order]
            for key in ("dtMatched", "dtIgnore")
        )
        yield _Instances(np.repeat(photos, numbers)[order], matched & ~ignored, ignored, truth)


def _of_category(instances: _Instances, weights: Floats) -> Resampled:
    """Return the AP and AR of one category; NaN for sets without true instances of it."""
    step = max(1, AT_ONCE // max(1, len(instances.photo)))
    parts = [
        _of_samples(instances, weights[first : first + step])
        for first in range(0, len(weights), step)
    ]
    return Resampled(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _of_samples(instances: _Instances, weights: Floats) -> tuple[Floats, Floats]:
    truth = weights @ instances.truth
    truth = np.where(truth > 0, truth, np.nan)[:, None]
    copies = weights[:, instances.photo]  # (R, D)
    all_found = copies.cumsum(1)
    ap, ar = np.zeros((2, len(weights)))
    for hit, ignored in zip(instances.hit, instances.ignored, strict=True):
        at = np.flatnonzero(hit)
        if len(at):
            found = (copies * ~ignored).cumsum(1) if ignored.any() else all_found
            tp = copies[:, at].cumsum(1)
            precision = tp / np.maximum(found[:, at], _TINY)
            highest = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]  # at higher recalls
            recall = tp / truth
            reached = np.searchsorted(RECALLS, recall, side="right")
            ap += (highest * np.diff(reached, axis=1, prepend=0)).sum(1) / len(RECALLS)
            ar += recall[:, -1]
    defined = truth[:, 0] / truth[:, 0] / len(instances.hit)  # NaN without true instances
    return ap * defined, ar * defined
