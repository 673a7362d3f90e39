from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from annotation.labelme.annotation import Shape
from annotation.labelme.geometry import encode_mask_png
from tests.annotation.rules.said import CONFIG, box, complaints, polygon, said

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


def test_every_copy_is_named_once() -> None:
    assert said(*[box(5, 5, 15, 15)] * 3) == [("shape-duplicate", 1), ("shape-duplicate", 2)]


def test_a_copy_that_crosses_itself() -> None:
    tie = polygon((2, 2), (12, 12), (12, 2), (2, 12))
    assert said(tie, tie) == [("self-crossing", 0), ("self-crossing", 1), ("shape-duplicate", 1)]


@pytest.mark.parametrize("label", ["box", "disc", "__ignore__"])
def test_near_duplicates(label: str) -> None:
    first, second = box(5, 5, 25, 25), box(5, 5, 25, 24, label)  # IoU 0.95
    (complaint,) = complaints(first, second)
    assert (complaint.rule, complaint.shape) == ("shape-near-duplicate", 1)
    assert complaint.others == (0,)
    assert "IoU 0.95" in complaint.message
    assert f"'{label}'" in complaint.message


def test_the_same_outline_with_another_label() -> None:
    assert said(box(5, 5, 25, 25), box(5, 5, 25, 25, "disc")) == [("shape-near-duplicate", 1)]


def test_neighbours_of_two_labels_may_overlap() -> None:
    assert said(box(5, 5, 25, 25), box(5, 5, 25, 21, "disc")) == []  # IoU 0.8


def test_hidden_things() -> None:
    (complaint,) = complaints(box(12, 12, 18, 18), box(5, 5, 25, 25, "disc"))
    assert (complaint.rule, complaint.shape) == ("thing-hidden", 0)
    assert complaint.message.startswith("100.0% of this 'box' is hidden by shapes[1] 'disc'")
    assert complaint.others == (1,)


def test_a_thing_of_the_same_label_hides_as_well() -> None:
    assert said(box(12, 12, 18, 18), box(5, 5, 25, 25)) == [("thing-hidden", 0)]


def test_several_things_hide_together() -> None:
    left, right = box(5, 5, 15, 25, "disc"), box(15, 5, 30, 25, "__ignore__")
    assert said(box(10, 10, 20, 20), left, right) == [("thing-hidden", 0)]
    assert said(box(10, 10, 20, 20), left) == []


def test_what_is_drawn_last_is_seen() -> None:
    assert said(box(5, 5, 25, 25, "disc"), box(12, 12, 18, 18)) == []


def test_a_hole_shows_what_lies_behind() -> None:
    behind, before = box(12, 12, 18, 18), box(5, 5, 25, 25, "disc", group_id=1)
    assert said(behind, before, box(10, 10, 20, 20, "__hole__", group_id=1)) == []


def test_a_hole_may_leave_nothing() -> None:
    thing, hole = box(5, 5, 15, 15, group_id=1), box(4, 4, 16, 16, "__hole__", group_id=1)
    assert ("thing-hidden", 0) in said(thing, hole)


def test_a_thing_is_hidden_with_all_its_parts() -> None:
    parts = [box(5, 5, 10, 10, group_id=1), box(15, 5, 20, 10, group_id=1)]
    assert said(*parts, box(4, 4, 11, 11, "disc")) == []
    assert said(*parts, box(4, 4, 21, 11, "disc")) == [("thing-hidden", 0)]
    assert said(parts[0], box(4, 4, 21, 11, "disc"), parts[1]) == []  # one lies on top


def test_what_lies_outside_the_picture_does_not_show() -> None:
    reaching, over = box(-20, 5, 10, 15), box(0, 4, 12, 16, "disc")
    assert said(reaching, over) == [("out-of-picture", 0), ("thing-hidden", 0)]


def test_regions_to_ignore_may_lie_under_things() -> None:
    assert said(box(12, 12, 18, 18, "__ignore__"), box(5, 5, 25, 25)) == []


def test_overlap_of_one_label() -> None:
    (complaint,) = complaints(box(0, 0, 20, 20), box(6, 0, 26, 20))  # 14 of 20 columns
    assert (complaint.rule, complaint.shape) == ("same-label-overlap", 1)
    assert complaint.others == (0,)
    assert "70% of it" in complaint.message
    assert said(box(0, 0, 25, 25), box(5, 5, 12, 12)) == [("same-label-overlap", 1)]


@pytest.mark.parametrize(
    "second",
    [
        box(8, 0, 28, 20),  # 12 of 20 columns: one stands before the other
        box(6, 0, 26, 20, "disc"),
        replace(box(5, 5, 12, 12), flags={"crowd": True}),
    ],
)
def test_overlaps_that_may_be(second: Shape) -> None:
    assert said(box(0, 0, 20, 20), second) == []


def test_a_thing_flagged_as_occluded_may_be_covered() -> None:
    back = replace(box(0, 0, 20, 20), flags={"occluded": True})
    assert said(back, box(6, 0, 26, 20)) == []
    assert said(box(6, 0, 26, 20), back) == [("same-label-overlap", 1)]


def test_parts_of_one_thing_may_overlap() -> None:
    assert said(box(0, 0, 20, 20, group_id=1), box(6, 0, 26, 20, group_id=1)) == []


def test_parts_are_taken_together() -> None:
    back = [box(0, 0, 10, 10, group_id=1), box(0, 15, 10, 25, group_id=1)]
    front = [box(2, 0, 12, 10, group_id=2), box(2, 15, 12, 25, group_id=2)]
    assert said(*back, *front) == [("same-label-overlap", 2)]
    assert said(*back, front[0]) == [("same-label-overlap", 2)]
    assert said(*back, box(2, 0, 20, 10)) == []  # 80 of 180 square pixels


def test_different_causes_in_one_photo() -> None:
    shapes = [box(0, 0, 10, 10), box(0, 0, 10, 10), box(0, 0, 10, 9.5), box(20, 20, 25, 25)]
    assert said(*shapes, box(15, 15, 30, 30, "disc")) == [
        ("shape-duplicate", 1),
        ("shape-near-duplicate", 2),
        ("thing-hidden", 3),
    ]


def test_thousands_of_shapes_on_one_place_take_no_minutes() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 1000, (3000, 2)).tolist()
    shapes = [box(x, y, x + 300, y + 300) for x, y in corners]
    assert len(said(*shapes, size=(1400, 1400), config=CONFIG)) > 1000
