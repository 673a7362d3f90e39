"""Outlines that cross themselves are measured as conversion paints them."""

from __future__ import annotations

import re

import numpy as np
import pytest
import shapely

from annotation.labelme.annotation import Shape
from annotation.rules.crossings import MOST_CROSSINGS, is_tangled, resolve_crossings
from conversion.painting.raster import polygon_masks
from tests.annotation.rules.reported import box, complaints, polygon, reported

# the inner square has the direction of the outer one: the outline encloses it twice
_OUTER = ((10, 10), (50, 10), (50, 50), (10, 50), (10, 12), (20, 20), (40, 20), (40, 40), (20, 40))
TWICE = (*_OUTER, (20, 22))
SIZE = (60, 60)


@pytest.mark.parametrize("seed", range(40))
def test_the_painted_region_is_that_of_pycocotools(seed: int) -> None:
    random = np.random.default_rng(seed)
    points = random.uniform(5, 95, (random.integers(5, 12), 2)).round(seed % 3)
    if seed % 4 == 0:
        points[0] = points[-2]
    outline = shapely.Polygon(points)
    painted = outline if outline.is_valid else resolve_crossings(outline).painted
    (mask,) = polygon_masks([points], height=100, width=100)
    # pycocotools decides for each pixel along the outline
    assert painted.is_valid
    assert abs(painted.area - mask.area) < 0.15 * outline.exterior.length


def test_an_outline_that_is_tangled_has_the_region_that_is_painted() -> None:
    points = np.random.default_rng(0).uniform(0, 200, (120, 2))
    outline = shapely.Polygon(points)
    assert is_tangled(outline), f"expected more than {MOST_CROSSINGS} crossings"
    painted = resolve_crossings(outline).painted
    (mask,) = polygon_masks([points], height=200, width=200)
    assert painted.is_valid
    assert abs(painted.area - mask.area) < 0.02 * mask.area


def test_the_pixels_in_doubt() -> None:
    def doubt(*points: tuple[float, float]) -> tuple[float, float]:
        one = resolve_crossings(shapely.Polygon(points))
        return round(one.doubt, 3), round(one.lost, 3)

    assert doubt((0, 0), (10, 10), (10, 0), (0, 10)) == (25, 0)  # a figure of eight
    twice = doubt(*TWICE)
    assert twice == (twice[1], pytest.approx(400, abs=40))
    into_a_hole = ((0, 0), (30, 0), (30, 30), (0, 30), (0, 10), (10, 10), (10, 20), (20, 20))
    into_a_hole = (*into_a_hole, (20, 10), (10, 10), (0, 10))
    assert doubt(*into_a_hole) == (0, 0)


def test_a_thing_in_a_region_that_is_not_painted_is_not_hidden() -> None:
    window, door = box(24, 24, 36, 36, "disc"), polygon(*TWICE)
    assert reported(window, door, size=SIZE) == [("self-crossing", 1)]
    assert ("thing-hidden", 0) in reported(window, box(10, 10, 50, 50), size=SIZE)


def test_a_crossing_says_how_much_is_lost_and_is_a_note_below_the_limit() -> None:
    (large,) = complaints(polygon(*TWICE), size=SIZE)
    assert re.search(r"and loses \d+ square pixels that it encloses twice", large.message)
    assert large.severity is None
    (eight,) = complaints(Shape("box", ((5, 5), (25, 25), (25, 5), (5, 25))), size=SIZE)
    assert "a loop of 100 square pixels runs in the other direction" in eight.message
    slip = ((0, 0), (30, 0), (30, 10.5), (30.6, 9.9), (29.6, 9.9), (30, 20), (0, 20))
    (slight,) = complaints(polygon(*slip), size=SIZE)
    assert (slight.rule, slight.severity) == ("self-crossing", "note")
