"""Colours of the kinds of errors that no category of the report has."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from conversion.coco.categories import Category, Color
from evaluation.errors.kinds import KINDS, Kind

# Used as they are if they differ enough from all categories; otherwise, the closest colour that
# does.
PREFERRED: dict[Kind, Color] = {
    "wrong category": (190, 60, 160),
    "split": (20, 150, 160),
    "merged": (120, 90, 200),
    "stuff over stuff": (120, 140, 60),
    "loose": (205, 150, 20),
    "wrong category and loose": (150, 90, 120),
    "missed": (210, 80, 40),
    "invented": (40, 110, 200),
    "outline": (110, 125, 140),
}
FROM_CATEGORIES, FROM_KINDS = 22, 20  # least distances in CIELAB
_LIGHTNESS = (44, 68)  # CIELAB: readable on a light and on a dark page


def kind_colors(categories: Sequence[Category]) -> dict[Kind, Color]:
    """Return a colour (RGB) for each kind, different from the others and from all categories.

    With so many categories that no colour is left, the one farthest from all others is taken.
    """
    candidates = _candidates()
    lab = _lab(candidates)
    from_categories = _least_distances(lab, _lab([c.color for c in categories]))
    chosen: dict[Kind, Color] = {}
    for kind in KINDS:
        from_kinds = _least_distances(lab, _lab(list(chosen.values())))
        slack = np.minimum(from_categories - FROM_CATEGORIES, from_kinds - FROM_KINDS)
        away = np.linalg.norm(lab - _lab([PREFERRED[kind]]), axis=1)
        best = np.where(slack >= 0, away, np.inf).argmin() if (slack >= 0).any() else slack.argmax()
        chosen[kind] = candidates[int(best)]
    return chosen


def ink(color: Color) -> str:
    """Return the colour of text that is readable on a colour: black or white, as CSS."""
    linear = [(c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4) for c in color]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000" if luminance > 0.179 else "#fff"  # the higher of both contrasts by WCAG


def _candidates() -> list[Color]:
    grid = [
        tuple(round(255 * c) for c in colorsys.hls_to_rgb(hue / 36, lightness / 20, saturation))
        for saturation in (0.15, 0.4, 0.65, 0.9)
        for lightness in range(6, 15)
        for hue in range(36)
    ]
    colors = [*PREFERRED.values(), *((r, g, b) for r, g, b in dict.fromkeys(grid))]
    lightness = _lab(colors)[:, 0]
    low, high = _LIGHTNESS
    return [c for c, value in zip(colors, lightness.tolist(), strict=True) if low <= value <= high]


def _lab(colors: Sequence[Color]) -> NDArray[np.float32]:
    """Convert N RGB colours to (N, 3) CIELAB."""
    rgb = np.array(colors, np.float32).reshape(-1, 1, 3) / 255
    if not len(rgb):
        return np.zeros((0, 3), np.float32)
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), np.float32)[:, 0]


def _least_distances(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return for each of N colours the distance to the closest of M others; infinite for none."""
    distances = np.linalg.norm(one[:, None] - other[None], axis=2)
    return np.asarray(distances.min(1, initial=np.inf), np.float32)
