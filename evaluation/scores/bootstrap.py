"""The bootstrap over photos: confidence intervals of scores, and of differences between them.

Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13: the percentile interval
of a score over sets of photos that are drawn at random, with replacement, from those compared.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Range = tuple[float, float]
SAMPLES, SEED = 1000, 0
FEW_PHOTOS = 40  # with a category in fewer photos, its intervals are too narrow
FEW_NOTE = f"* in fewer than {FEW_PHOTOS} photos: the interval is too narrow"


def draw_photos(number: int) -> Floats:
    """Return how often each of N photos is in each of R random sets: (R, N).

    The sets depend only on N, so that all scores of a comparison use the same ones.
    """
    if not number:
        return np.zeros((1, 0))
    rng = np.random.default_rng(SEED)
    return rng.multinomial(number, np.full(number, 1 / number), SAMPLES).astype(np.float64)


def interval(values: Floats) -> Range:
    """Return the central 95 % of the values (R,); NaN, an undefined score, is left out.

    The result is NaN, NaN if all values are undefined.
    """
    low, high = intervals(values[:, None])[0]
    return low, high


def intervals(values: Floats) -> list[Range]:
    """Return the `interval` of each column of (R, ...) values, flattened."""
    columns = values.reshape(len(values), -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of columns without a number
        low, high = np.nanpercentile(columns, (2.5, 97.5), axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))
