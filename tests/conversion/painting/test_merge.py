from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from annotation.dataset import DatasetConfig
from annotation.labelme.annotation import Shape
from annotation.labelme.masks import encode_mask_png
from conversion.coco.categories import dataset_categories
from conversion.coco.panoptic import Segment
from conversion.painting.merge import merge
from tests.drawn import BOX, DISC, ROAD, SKY, square

CATEGORIES = dataset_categories(["box", "disc"], ["sky-other-merged", "road"], where="x")
CONFIG = DatasetConfig("x", ("box", "disc"))


def test_things_are_painted_over_stuff() -> None:
    stuff = np.array([[SKY] * 6, [SKY] * 6, [ROAD] * 6, [0] * 6], np.uint16)
    merged = merge(
        (
            square("box", 1, 1, 2),
            square("disc", 2, 2, 2),
        ),
        stuff,
        CATEGORIES,
        CONFIG,
    )
    assert merged.ids.tolist() == [
        [2, 2, 2, 2, 2, 2],
        [2, 3, 3, 2, 2, 2],
        [1, 3, 4, 4, 1, 1],
        [0, 0, 4, 4, 0, 0],
    ]
    assert merged.segments == (
        Segment(1, ROAD, 3, (0, 2, 6, 1)),
        Segment(2, SKY, 10, (0, 0, 6, 2)),
        Segment(3, BOX, 3, (1, 1, 2, 2)),
        Segment(4, DISC, 4, (2, 2, 2, 2)),
    )
    assert merged.hidden == ()


def test_parts_of_a_group_are_one_segment_drawn_in_their_own_places() -> None:
    stuff = np.zeros((4, 6), np.uint16)
    shapes = (square("box", 0, 0, 2, 7), square("disc", 1, 1, 2), square("box", 4, 0, 1, 7))
    merged = merge(
        (
            *shapes,
            square("disc", 5, 3, 1, 7),
        ),
        stuff,
        CATEGORIES,
        CONFIG,
    )
    assert merged.ids.tolist() == [
        [1, 1, 0, 0, 1, 0],
        [1, 2, 2, 0, 0, 0],
        [0, 2, 2, 0, 0, 0],
        [0, 0, 0, 0, 0, 3],  # the same group_id, but another label: another instance
    ]
    assert merged.segments[0] == Segment(1, BOX, 4, (0, 0, 5, 2))
    assert merged.segments[2] == Segment(3, DISC, 1, (5, 3, 1, 1))  # one pixel has a box


def test_a_hidden_thing_has_no_segment_and_is_counted() -> None:
    shapes = (square("box", 1, 1, 1), square("disc", 0, 0, 3))
    merged = merge(shapes, np.zeros((4, 6), np.uint16), CATEGORIES, CONFIG)
    assert [s.category_id for s in merged.segments] == [DISC]
    assert merged.hidden == (0,)


VOID_STUFF = np.zeros((6, 8), np.uint16)


def ids_of(*shapes: Shape, **config: Any) -> list[list[int]]:
    return merge(shapes, VOID_STUFF, CATEGORIES, replace(CONFIG, **config)).ids.tolist()


def test_a_hole_cuts_its_group_only() -> None:
    assert ids_of(
        square("disc", 0, 0, 6),
        square("box", 1, 1, 5, group_id=4),
        square("__hole__", 2, 2, 2, group_id=4),
        square("__hole__", 0, 0, 1),  # cuts nothing; validation reports it
    ) == [
        [1, 1, 1, 1, 1, 1, 0, 0],
        [1, 2, 2, 2, 2, 2, 0, 0],
        [1, 2, 1, 1, 2, 2, 0, 0],
        [1, 2, 1, 1, 2, 2, 0, 0],
        [1, 2, 2, 2, 2, 2, 0, 0],
        [1, 2, 2, 2, 2, 2, 0, 0],
    ]


def test_the_set_names_the_labels_of_holes() -> None:
    shapes = (square("box", 0, 0, 3, group_id=1), square("gap", 1, 1, 1, group_id=1))
    rows = ids_of(*shapes, holes=("gap",))
    assert [row[:3] for row in rows[:3]] == [[1, 1, 1], [1, 0, 1], [1, 1, 1]]


def test_an_ignored_region_becomes_void_where_it_was_drawn() -> None:
    shapes = (square("box", 0, 0, 4), square("__ignore__", 1, 1, 2), square("disc", 2, 2, 1))
    merged = merge(shapes, np.full((4, 4), SKY, np.uint16), CATEGORIES, CONFIG)
    assert merged.ids.tolist() == [[2, 2, 2, 2], [2, 0, 0, 2], [2, 0, 3, 2], [2, 2, 2, 2]]
    assert [s.category_id for s in merged.segments] == [BOX, DISC]
    assert merged.hidden == ()


def test_flags_are_passed_on_to_segments() -> None:
    crowd = replace(square("box", 0, 0, 2), flags={"crowd": True, "truncated": True})
    plain = replace(square("disc", 4, 0, 2), flags={"occluded": False})
    first, second = merge((crowd, plain), VOID_STUFF, CATEGORIES, CONFIG).segments
    assert (first.iscrowd, first.attributes) == (True, ("truncated",))
    assert (second.iscrowd, second.attributes) == (False, ())


def test_lines_and_points_are_left_out_or_widened_as_configured() -> None:
    line = Shape("box", ((0.0, 2.0), (8.0, 2.0)), "line")
    point = Shape("disc", ((4.0, 5.0),), "point")
    assert not np.any(ids_of(line, point))
    rows = ids_of(line, point, line_width=2)
    assert rows[1][1:7] == rows[2][1:7] == [1] * 6
    assert sum(rows[0]) == sum(rows[3]) == 0
    assert [row[3:5] for row in rows[4:]] == [[2, 2], [2, 2]]


def test_a_mask_shape_is_painted_pixel_by_pixel_and_clipped() -> None:
    pixels = np.array([[1, 0, 1], [0, 1, 0]], bool)
    png = encode_mask_png(pixels)
    corner = Shape("box", ((-1.0, 4.0), (1.0, 5.0)), "mask", mask=png)
    inner = Shape("disc", ((3.0, 1.0), (5.0, 2.0)), "mask", mask=png)
    rows = ids_of(corner, inner)
    assert [row[3:6] for row in rows[1:3]] == [[2, 0, 2], [0, 2, 0]]
    assert [row[:2] for row in rows[4:]] == [[0, 1], [1, 0]]


def test_a_hole_drawn_as_a_line_without_width_cuts_nothing() -> None:
    line = Shape("__hole__", ((0.0, 0.0), (3.0, 3.0)), "line", group_id=1)
    rows = ids_of(square("box", 0, 0, 3, group_id=1), line)
    assert [row[:3] for row in rows[:3]] == [[1, 1, 1]] * 3


# --- painting order: the same three shapes, drawn large, small, middle ---

LARGE, SMALL, MIDDLE = square("box", 0, 0, 6), square("disc", 1, 1, 2), square("box", 0, 0, 4)


def rows_of(**config: Any) -> list[str]:
    ids = ids_of(LARGE, SMALL, MIDDLE, **config)
    return ["".join(map(str, row[:6])) for row in ids[:4]]


def test_as_drawn_the_last_is_on_top() -> None:
    assert rows_of() == ["333311", "333311", "333311", "333311"]


def test_smaller_on_top() -> None:
    assert rows_of(painting="smaller-on-top") == ["333311", "322311", "322311", "333311"]


def test_labels_from_the_lowest_to_the_topmost() -> None:
    assert rows_of(painting=("box", "disc")) == ["333311", "322311", "322311", "333311"]
    assert rows_of(painting=("disc", "box")) == ["333311", "333311", "333311", "333311"]
    assert rows_of(painting=("disc",)) == ["333311", "322311", "322311", "333311"]


def test_a_barely_visible_thing_is_left_out() -> None:
    """4 of the 16 pixels of the disc are visible; without it, the box below it and stuff are."""
    shapes = (square("box", 0, 0, 3), square("disc", 0, 0, 4), square("box", 0, 1, 5))
    stuff = np.full((6, 8), SKY, np.uint16)
    kept = merge(shapes, stuff, CATEGORIES, CONFIG)
    assert kept.ids[0].tolist() == [3, 3, 3, 3, 1, 1, 1, 1]
    assert (kept.hidden, kept.dropped) == ((0,), ())
    merged = merge(shapes, stuff, CATEGORIES, CONFIG, least_visible=0.3)
    assert merged.ids[0].tolist() == [2, 2, 2, 1, 1, 1, 1, 1]
    assert (merged.dropped, merged.dropped_pixels) == ((1,), 4)
    assert [s.category_id for s in merged.segments] == [SKY, BOX, BOX]


def test_ignored_regions_that_name_a_thing_are_a_crowd_of_it() -> None:
    ignored = {"__ignore__": None, "many": "disc"}
    shapes = (square("box", 0, 0, 2), square("many", 3, 0, 3), square("__ignore__", 5, 0, 1))
    config = replace(CONFIG, ignored=ignored)
    merged = merge(shapes, VOID_STUFF, CATEGORIES, config)
    assert merged.ids[:3].tolist() == [
        [1, 1, 0, 2, 2, 0, 0, 0],
        [1, 1, 0, 2, 2, 2, 0, 0],
        [0, 0, 0, 2, 2, 2, 0, 0],
    ]
    box, crowd = merged.segments
    assert (box.iscrowd, crowd.iscrowd, crowd.category_id) == (False, True, DISC)
    assert merged.ignored_pixels == 1


def test_more_than_255_segments() -> None:
    shapes = [square("box", x, y, 1) for y in range(20) for x in range(20)]
    merged = merge(shapes, np.full((20, 20), SKY, np.uint16), CATEGORIES, CONFIG)
    assert merged.ids.ravel().tolist() == list(range(2, 402))
    assert len(merged.segments) == 400


def test_visible_shares_are_checked_again_after_a_thing_is_dropped() -> None:
    """B hides A, and C nearly hides B. Without B, little of A is visible, so only C is left."""
    shapes = (square("box", 0, 0, 5), square("disc", 0, 0, 5), square("box", 0, 1, 6))
    merged = merge(shapes, np.full((8, 8), SKY, np.uint16), CATEGORIES, CONFIG, least_visible=0.2)
    assert [s.area for s in merged.segments if s.category_id != SKY] == [5, 36]
    merged = merge(shapes, np.full((8, 8), SKY, np.uint16), CATEGORIES, CONFIG, least_visible=0.25)
    assert merged.dropped == (0, 1)
    assert [s.category_id for s in merged.segments] == [SKY, BOX]


def test_a_thing_that_is_no_longer_covered_is_kept() -> None:
    """The disc hides most of the box, and is nearly hidden itself."""
    shapes = (square("box", 0, 0, 4), square("disc", 0, 1, 4), square("box", 0, 2, 6))
    shapes = (*shapes, square("box", 1, 1, 3))
    merged = merge(shapes, np.zeros((8, 8), np.uint16), CATEGORIES, CONFIG, least_visible=0.3)
    for segment in merged.segments:
        whole = merged.whole[segment.id]
        assert segment.area >= 0.3 * whole.area
    assert 1 in merged.dropped
    assert 0 not in merged.dropped


def test_ignored_pixels_are_counted_once() -> None:
    stuff = np.full((6, 8), SKY, np.uint16)
    stuff[:, 4:] = 0
    ignore = square("__ignore__", 2, 0, 4)
    merged = merge((ignore, square("box", 2, 0, 1)), stuff, CATEGORIES, CONFIG)
    assert merged.ignored_pixels == 2 * 4 - 1  # the rest was void before, or is the box
