from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from annotation.dataset import Limits
from annotation.labelme.annotation import Shape
from annotation.labelme.geometry import MOST_MASK_RUNS, figure
from annotation.labelme.masks import encode_mask_png
from tests.annotation.rules.reported import CONFIG, box, complaints, polygon, reported

NAN, INF = float("nan"), float("inf")
BOW_TIE = polygon((2, 2), (12, 12), (12, 2), (2, 12))
STAR = polygon((20, 2), (28, 26), (6, 11), (34, 11), (12, 26))  # its middle is enclosed twice
# the outline enters the hole at 5, 10 and comes back the same way
KEYHOLE = polygon(
    *((0, 0), (20, 0), (20, 20), (0, 20), (0, 10), (5, 10)),
    *((5, 15), (15, 15), (15, 5), (5, 5), (5, 10), (0, 10)),
)
SPIKE = polygon((5, 5), (20, 5), (20, 14), (35, 14.4), (20, 14.8), (20, 20), (5, 20))


def mask(pixels: list[list[int]], *, at: tuple[float, float] = (3, 3)) -> Shape:
    return Shape("box", (at,), "mask", mask=encode_mask_png(np.array(pixels, bool)))


@pytest.mark.parametrize(
    "shape",
    [
        polygon((1, 1), (5, 5)),
        Shape("box", ((1.0, 1.0),), "rectangle"),
        Shape("box", ((1.0, 1.0), (5.0, 1.0), (5.0, 5.0)), "oriented_rectangle"),
        Shape("box", ((1.0, 1.0),), "circle"),
    ],
)
def test_too_few_points(shape: Shape) -> None:
    assert reported(shape) == [("points-few", 0)]


@pytest.mark.parametrize("wrong", [NAN, INF, -INF, 1e10])
def test_points_are_numbers_of_pixels(wrong: float) -> None:
    assert reported(polygon((1, 1), (5, wrong), (5, 5))) == [("points-not-finite", 0)]


@pytest.mark.parametrize(
    "shape",
    [
        polygon((2, 2), (6, 6), (10, 10)),
        polygon((3, 3), (3, 3), (3, 3)),
        polygon((0.1, 0.1), (10.3, 20.3), (0.1, 0.1), (10.3, 20.3)),
        Shape("box", ((2.0, 2.0), (9.0, 2.0)), "rectangle"),
        Shape("box", ((5.0, 5.0), (5.0, 5.0)), "circle"),
        mask([[0, 0], [0, 0]]),
        polygon((50, 2), (60, 2), (70, 2)),  # also outside: one cause, one complaint
    ],
)
def test_no_area(shape: Shape) -> None:
    assert reported(shape) == [("zero-area", 0)]


@pytest.mark.parametrize(("side", "rules"), [(2.9, ["tiny"]), (3, [])])
def test_tiny(side: float, rules: list[str]) -> None:
    assert [rule for rule, _ in reported(box(2, 2, 2 + side, 5))] == rules


def test_tiny_masks() -> None:
    assert reported(mask([[1, 0, 1]])) == [("tiny", 0)]
    assert reported(mask([[1, 1, 1], [1, 1, 1], [1, 1, 1]])) == []


@pytest.mark.parametrize("shape", [BOW_TIE, STAR], ids=["bow tie", "star"])
def test_self_crossing(shape: Shape) -> None:
    assert reported(shape) == [("self-crossing", 0)]


def test_a_self_crossing_has_a_place() -> None:
    assert complaints(BOW_TIE)[0].place == (7, 7)


@pytest.mark.parametrize(
    "shape",
    [
        KEYHOLE,
        polygon((2, 2), (7, 7), (12, 2), (12, 12), (7, 7), (2, 12)),  # two triangles, tip to tip
        polygon((2, 2), (12, 2), (12, 12), (7, 2), (2, 12)),  # a tip on an edge
        polygon((2, 12), (12, 12), (12, 2), (2, 2)),  # in the opposite direction
        polygon((2, 2), (12, 2), (12, 12), (2, 12), (2, 2)),  # closed by its first vertex
    ],
)
def test_outlines_that_only_touch_themselves(shape: Shape) -> None:
    assert reported(shape) == []


def test_scribbles_are_checked_quickly() -> None:
    points = np.random.default_rng(0).uniform(0, 30, (5000, 2)).tolist()
    assert reported(polygon(*((x, y) for x, y in points))) == [("self-crossing", 0)]


@pytest.mark.parametrize(
    ("points", "found"),
    [
        ([(2, 2), (12, 2), (12, 2), (12, 12), (2, 12)], "points[1]"),
        ([(2, 2), (12, 2), (12.005, 2), (12, 12)], "points[1]"),
        ([(2, 2), (12, 2), (12, 12), (2, 2.005)], "points[3]"),
        ([(2, 2), (2, 2), (12, 2), (12, 12), (12, 12)], "points[0], points[3]"),
    ],
)
def test_repeated_points(points: list[tuple[float, float]], found: str) -> None:
    (complaint,) = complaints(polygon(*points))
    assert complaint.rule == "points-repeated"
    assert complaint.message.endswith(f": {found}")


def test_points_near_each_other_are_not_repeated() -> None:
    assert reported(polygon((2, 2), (12, 2), (12.02, 2), (12, 12), (2, 2.02))) == []
    assert reported(polygon((2, 2), (12, 2), (2, 12), (12, 12), (12, 2))) != []  # not consecutive


@pytest.mark.parametrize(
    ("shape", "share"),
    [
        (box(30, 5, 50, 15), "50.0% of its area"),
        (box(-10, -10, 10, 10), "75.0% of its area"),
        (Shape("box", ((40.0, 15.0), (50.0, 15.0)), "circle"), "50.0% of its area"),
    ],
)
def test_partly_out_of_the_picture(shape: Shape, share: str) -> None:
    (complaint,) = complaints(shape)
    assert complaint.rule == "out-of-picture"
    assert complaint.message.startswith(share)


@pytest.mark.parametrize(
    "shape",
    [
        box(45, 5, 55, 15),
        box(-20, 5, 0, 15),
        polygon((30, -20), (60, 12), (60, -20)),  # only its box reaches into the picture
    ],
)
def test_outside_the_picture(shape: Shape) -> None:
    assert reported(shape) == [("outside-picture", 0)]


def test_one_pixel_beyond_the_border_is_allowed() -> None:
    assert reported(box(30, 20, 41, 31)) == []
    assert reported(box(45, 5, 55, 15), size=None) == []


@pytest.mark.parametrize(
    "shape",
    [
        Shape("box", ((0.0, 0.0), (40.0, 30.0)), "rectangle"),
        polygon((0.1, 0), (20, 0.2), (40, 0), (39.9, 30), (0, 29.9)),
        box(-9, -9, 99, 99),  # also extends outside it: one cause, one complaint
    ],
)
def test_the_whole_picture(shape: Shape) -> None:
    assert reported(shape) == [("whole-picture", 0)]


def test_a_close_up_is_not_the_whole_picture() -> None:
    assert reported(box(0, 0, 40, 29)) == []


def test_spikes() -> None:
    (complaint,) = complaints(SPIKE)
    assert complaint.rule == "spike"
    assert complaint.message.startswith("points[3] at x, y = 35, 14 is a spike of 15 px")
    assert complaint.place == (35, 14.4)
    cut = polygon((5, 5), (35, 5), (35, 20), (20, 20), (20, 6), (19.8, 20), (5, 20))
    assert reported(cut) == [("spike", 0)]


def test_a_spike_whose_tip_was_clicked_twice() -> None:
    points = (*SPIKE.points[:4], *SPIKE.points[3:])
    assert reported(replace(SPIKE, points=points)) == [("points-repeated", 0), ("spike", 0)]


@pytest.mark.parametrize(
    "shape",
    [
        polygon((5, 5), (20, 5), (20, 13), (35, 14.4), (20, 15.8), (20, 20)),  # 10 degrees
        polygon((5, 5), (20, 5), (20, 14), (27, 14.2), (20, 14.4), (20, 20)),  # 7 pixels
        polygon((5, 5), (20, 5), (20, 14), (40, 14.4), (20, 14.8), (20, 20)),  # cut by the border
        box(5, 5, 35, 5.5),  # thin, but not a spike
    ],
)
def test_outlines_without_spikes(shape: Shape) -> None:
    assert reported(shape) == []


@pytest.mark.parametrize("kind", ["line", "linestrip", "point", "points"])
def test_lines_are_left_out_unless_they_have_a_width(kind: str) -> None:
    shape = Shape("box", ((10.0, 10.0), (20.0, 10.0))[: 1 if kind == "point" else 2], kind)
    assert reported(shape) == [("shape-ignored", 0)]
    assert reported(shape, config=replace(CONFIG, line_width=6)) == []


def test_limits_come_from_the_data_set() -> None:
    limits = Limits(tiny_area=200, whole_share=0.4, spike_angle=1)
    assert reported(box(2, 2, 12, 12), config=replace(CONFIG, limits=limits)) == [("tiny", 0)]
    assert reported(box(2, 2, 32, 22), config=replace(CONFIG, limits=limits)) == [
        ("whole-picture", 0)
    ]
    assert reported(SPIKE, config=replace(CONFIG, limits=limits)) == []


@pytest.mark.parametrize("size", [None, (0, 0), (-3, 5), (30, 40), (10**9, 10**9)])
def test_extreme_shapes_raise_no_errors(size: tuple[int, int] | None) -> None:
    far = 1e9
    shapes = [
        polygon((-far, -far), (far, far), (far, -far), (-far, far)),
        box(-far, -far, far, far),
        polygon((0, 1e-300), (1e-300, 0), (0, 0)),
        polygon(*[(1.0, 1.0), (5.0, 5.0)] * 500),
        polygon(*[(1.0, 1.0)] * 500),
        Shape("box", ((far, far), (-far, -far)), "circle"),
        mask([[1]], at=(far, far)),
        BOW_TIE,
        STAR,
    ]
    assert {shape for _, shape in reported(*shapes, size=size)} <= set(range(len(shapes)))


def test_noisy_masks_are_reduced_to_blocks() -> None:
    pixels = np.random.default_rng(0).random((301, 400)) > 0.5
    assert (np.diff(pixels.astype(int)) == 1).sum() > MOST_MASK_RUNS
    covered = figure(mask(pixels.tolist(), at=(7, 9)))
    assert covered.is_valid
    assert covered.bounds == (7, 9, 407, 311)  # an odd number of rows is rounded up
