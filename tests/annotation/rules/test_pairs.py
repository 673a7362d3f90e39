from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from annotation.labelme.annotation import Shape
from annotation.labelme.masks import encode_mask_png
from tests.annotation.rules.reported import CONFIG, box, complaints, polygon, reported

MASK = encode_mask_png(np.ones((5, 6), np.bool_))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (box(5, 5, 15, 15), box(5, 5, 15, 15)),
        (polygon((5, 5), (15, 5), (15, 12)), polygon((15, 12), (15, 5), (5, 5))),
        (polygon((5, 5), (15, 5), (15, 12)), polygon((15, 5), (15, 12), (5, 5), (15, 5))),
        (box(5, 5, 15, 15, group_id=1), box(5, 5, 15, 15, group_id=2)),
        (box(5, 5, 15, 15), Shape("box", ((15.0, 5.0), (5.0, 15.0)), "rectangle")),
        (Shape("box", ((5.0, 5.0),), "mask", mask=MASK),) * 2,
    ],
)
def test_duplicates(first: Shape, second: Shape) -> None:
    shapes = [first, box(20, 20, 30, 28, "disc"), second]
    (complaint,) = complaints(*shapes)
    assert (complaint.rule, complaint.shape) == ("shape-duplicate", 2)
    assert complaint.others == (0,)


def test_every_copy_is_reported_once() -> None:
    assert reported(*[box(5, 5, 15, 15)] * 3) == [("shape-duplicate", 1), ("shape-duplicate", 2)]


def test_a_copy_that_crosses_itself() -> None:
    tie = polygon((2, 2), (12, 12), (12, 2), (2, 12))
    assert reported(tie, tie) == [
        ("self-crossing", 0),
        ("self-crossing", 1),
        ("shape-duplicate", 1),
    ]


@pytest.mark.parametrize("label", ["box", "disc", "__ignore__"])
def test_near_duplicates(label: str) -> None:
    first, second = box(5, 5, 25, 25), box(5, 5, 25, 24, label)  # IoU 0.95
    (complaint,) = complaints(first, second)
    assert (complaint.rule, complaint.shape) == ("shape-near-duplicate", 1)
    assert complaint.others == (0,)
    assert "IoU 0.95" in complaint.message
    assert f"'{label}'" in complaint.message


def test_the_same_outline_with_another_label() -> None:
    assert reported(box(5, 5, 25, 25), box(5, 5, 25, 25, "disc")) == [("shape-near-duplicate", 1)]


def test_things_with_different_labels_may_overlap() -> None:
    assert reported(box(5, 5, 25, 25), box(5, 5, 25, 21, "disc")) == []  # IoU 0.8


def test_hidden_things() -> None:
    (complaint,) = complaints(box(12, 12, 18, 18), box(5, 5, 25, 25, "disc"))
    assert (complaint.rule, complaint.shape) == ("thing-hidden", 0)
    assert complaint.message.startswith("100.0% of this 'box' is hidden by shapes[1] 'disc'")
    assert complaint.others == (1,)


def test_a_thing_with_the_same_label_can_hide_a_thing() -> None:
    assert reported(box(12, 12, 18, 18), box(5, 5, 25, 25)) == [("thing-hidden", 0)]


def test_several_things_hide_together() -> None:
    left, right = box(5, 5, 15, 25, "disc"), box(15, 5, 30, 25, "__ignore__")
    assert reported(box(10, 10, 20, 20), left, right) == [("thing-hidden", 0)]
    assert reported(box(10, 10, 20, 20), left) == []


def test_what_is_drawn_last_is_visible() -> None:
    assert reported(box(5, 5, 25, 25, "disc"), box(12, 12, 18, 18)) == []


def test_a_hole_shows_what_is_behind_it() -> None:
    behind, before = box(12, 12, 18, 18), box(5, 5, 25, 25, "disc", group_id=1)
    assert reported(behind, before, box(10, 10, 20, 20, "__hole__", group_id=1)) == []


def test_a_hole_that_covers_its_whole_thing() -> None:
    thing, hole = box(5, 5, 15, 15, group_id=1), box(4, 4, 16, 16, "__hole__", group_id=1)
    assert ("thing-hidden", 0) in reported(thing, hole)


def test_a_thing_is_hidden_with_all_its_parts() -> None:
    parts = [box(5, 5, 10, 10, group_id=1), box(15, 5, 20, 10, group_id=1)]
    assert reported(*parts, box(4, 4, 11, 11, "disc")) == []
    assert reported(*parts, box(4, 4, 21, 11, "disc")) == [("thing-hidden", 0)]
    assert reported(parts[0], box(4, 4, 21, 11, "disc"), parts[1]) == []  # one part is on top


def test_the_part_outside_the_picture_is_not_visible() -> None:
    reaching, over = box(-20, 5, 10, 15), box(0, 4, 12, 16, "disc")
    assert reported(reaching, over) == [("out-of-picture", 0), ("thing-hidden", 0)]


def test_ignored_regions_may_be_hidden() -> None:
    assert reported(box(12, 12, 18, 18, "__ignore__"), box(5, 5, 25, 25)) == []


def test_overlap_of_things_with_one_label() -> None:
    (complaint,) = complaints(box(0, 0, 20, 20), box(6, 0, 26, 20))  # 14 of 20 columns
    assert (complaint.rule, complaint.shape) == ("same-label-overlap", 1)
    assert complaint.others == (0,)
    assert "70% of it" in complaint.message
    assert reported(box(0, 0, 25, 25), box(5, 5, 12, 12)) == [("same-label-overlap", 1)]


@pytest.mark.parametrize(
    "second",
    [
        box(8, 0, 28, 20),  # 12 of 20 columns: one is in front of the other
        box(6, 0, 26, 20, "disc"),
        replace(box(5, 5, 12, 12), flags={"crowd": True}),
    ],
)
def test_allowed_overlaps(second: Shape) -> None:
    assert reported(box(0, 0, 20, 20), second) == []


def test_a_thing_flagged_as_occluded_may_be_covered() -> None:
    back = replace(box(0, 0, 20, 20), flags={"occluded": True})
    assert reported(back, box(6, 0, 26, 20)) == []
    assert reported(box(6, 0, 26, 20), back) == [("same-label-overlap", 1)]


def test_parts_of_one_thing_may_overlap() -> None:
    assert reported(box(0, 0, 20, 20, group_id=1), box(6, 0, 26, 20, group_id=1)) == []


def test_overlaps_of_all_parts_are_added() -> None:
    back = [box(0, 0, 10, 10, group_id=1), box(0, 15, 10, 25, group_id=1)]
    front = [box(2, 0, 12, 10, group_id=2), box(2, 15, 12, 25, group_id=2)]
    assert reported(*back, *front) == [("same-label-overlap", 2)]
    assert reported(*back, front[0]) == [("same-label-overlap", 2)]
    assert reported(*back, box(2, 0, 20, 10)) == []  # 80 of 180 square pixels


def test_different_causes_in_one_photo() -> None:
    shapes = [box(0, 0, 10, 10), box(0, 0, 10, 10), box(0, 0, 10, 9.5), box(20, 20, 25, 25)]
    assert reported(*shapes, box(15, 15, 30, 30, "disc")) == [
        ("shape-duplicate", 1),
        ("shape-near-duplicate", 2),
        ("thing-hidden", 3),
    ]


def test_thousands_of_overlapping_shapes_do_not_take_minutes() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 500, (1200, 2)).tolist()
    shapes = [box(x, y, x + 300, y + 300) for x, y in corners]
    assert len(reported(*shapes, size=(900, 900), config=CONFIG)) > 1000
