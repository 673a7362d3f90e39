from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from conversion.painting.measure import FURTHEST, LONGEST, Measures, measure_outlines

Size = tuple[int, int]
ROUNDINGS = (1, 2, 5, 10, 100, 10**9)  # whole, half, ... pixels; two decimals; unrounded


def by_pycocotools(outline: list[float], size: Size) -> Measures:
    codes = coco_mask.frPyObjects([outline], *size)
    return int(coco_mask.area(codes)[0]), coco_mask.toBbox(codes)[0].tolist()


def check(outlines: list[list[float]], sizes: list[Size]) -> None:
    expected = [by_pycocotools(*pair) for pair in zip(outlines, sizes, strict=True)]
    assert measure_outlines(outlines, sizes) == expected


def drawn(rng: np.random.Generator, size: Size, spread: float, corners: int) -> list[float]:
    """A polygon that usually crosses itself, inside, across, outside or around the picture."""
    centre = rng.uniform(-0.3, 1.3, 2) * size[::-1]
    points = centre + rng.uniform(-spread, spread, (corners, 2))
    steps = rng.choice(ROUNDINGS)
    flat: list[float] = ((points * steps).round() / steps).ravel().tolist()
    return flat


@pytest.mark.parametrize("seed", range(100))
def test_measures_are_those_of_pycocotools(seed: int) -> None:
    """6,000 outlines, from specks to polygons much larger than the picture, many at once."""
    rng = np.random.default_rng(seed)
    sizes: list[Size] = [(int(h), int(w)) for h, w in rng.integers(1, (80, 200), (60, 2))]
    spreads = rng.choice([0.4, 2, 15, 60, 200, 3000], 60).tolist()
    corners = rng.integers(3, 12, 60).tolist()
    outlines = [drawn(rng, *one) for one in zip(sizes, spreads, corners, strict=True)]
    check(outlines, sizes)


@pytest.mark.parametrize("seed", range(20))
def test_smooth_and_straight_outlines(seed: int) -> None:
    """Rings with many corners, lines back and forth, rectangles, and one point three times."""
    rng = np.random.default_rng(seed)
    angles = np.linspace(0, 2 * np.pi, int(rng.integers(5, 300)))
    ring = (
        rng.uniform(0, 300, 2) + rng.uniform(1, 150) * np.stack([np.cos(angles), np.sin(angles)]).T
    )
    (x0, x1), (y0, y1) = (rng.uniform(-20, 320, (2, 2)) * 2).round() / 2
    outlines = [
        ring.round(2).ravel().tolist(),
        [x0, y0, x1, y1, (x0 + x1) / 2, (y0 + y1) / 2],
        [x0, y0, x0, y1, x1, y1, x1, y0],
        [x0, y0, x0, y0, x0, y0],
        [0, 0, 300, 0, 300, 240, 0, 240],
        [-5, -5, 305, -5, 305, 245, -5, 245],
    ]
    check(outlines, [(240, 300)] * len(outlines))


def test_outlines_beyond_the_limits_are_measured_by_pycocotools() -> None:
    outlines: list[list[float]] = [[0, 0, 9, 0, 9, 9], [-3, -3, 2 * FURTHEST, 5, 9, 9]]
    check(outlines, [(20, 30)] * 2)
    check(outlines[:1], [(2, LONGEST)])
    assert measure_outlines([], []) == []


def test_many_rows_are_measured_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    monkeypatch.setattr("conversion.painting.measure.MOST_ROWS", 100)
    outlines = [drawn(rng, (90, 120), 50, 7) for _ in range(9)]
    check(outlines, [(90, 120)] * 9)
