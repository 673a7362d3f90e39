from __future__ import annotations

from dataclasses import replace

import pytest

from annotation.labelme.annotation import Shape
from tests.annotation.rules.reported import box, complaints, reported

HOLE, IGNORED = "__hole__", "__ignore__"
WIDE = (30, 400)


def test_parts_far_apart() -> None:
    parts = [box(0, 0, 10, 10, group_id=1), box(60, 0, 70, 10, group_id=1)]  # 3.5 diagonals
    (complaint,) = complaints(*parts, size=WIDE)
    assert (complaint.rule, complaint.shape) == ("group-apart", 1)
    assert "is 50 px" in complaint.message
    assert complaint.others == (0,)


def test_parts_on_both_sides_of_an_occluder() -> None:
    parts = [box(0, 0, 10, 10, group_id=1), box(50, 0, 60, 10, group_id=1)]  # 2.8 diagonals
    assert reported(*parts, size=WIDE) == []


def test_a_chain_of_near_parts_is_one_group() -> None:
    chain = [box(x, 0, x + 10, 10, group_id=1) for x in (0, 30, 60, 90, 120)]
    assert reported(*chain, size=WIDE) == []


def test_two_things_of_two_parts_each() -> None:
    first = [box(x, 0, x + 10, 10, group_id=1) for x in (0, 20)]
    second = [box(x, 0, x + 10, 10, group_id=1) for x in (200, 220)]
    assert reported(*first, *second, size=WIDE) == [("group-apart", 2)]


def test_parts_of_crowds_may_be_far_apart() -> None:
    parts = [box(0, 0, 10, 10, group_id=1), box(300, 0, 310, 10, group_id=1)]
    crowd = [replace(part, flags={"crowd": True}) for part in parts]
    assert reported(*crowd, size=WIDE) == []
    assert reported(*(replace(part, label=IGNORED) for part in parts), size=WIDE) == []


def test_labels_of_a_group() -> None:
    shapes = [box(0, 0, 8, 8, "box", 3), box(10, 0, 18, 8, "disc", 3), box(20, 0, 28, 8, "box", 3)]
    (complaint,) = complaints(*shapes)
    assert (complaint.rule, complaint.shape) == ("group-labels", 1)
    assert complaint.message == (
        "group 3: expected one label, found 'disc' here and 'box' at shapes[0]"
    )
    assert complaint.others == (0,)


@pytest.mark.parametrize(
    "second",
    [
        box(10, 0, 18, 8, "box", 3),
        box(10, 0, 18, 8, "disc", 4),
        box(10, 0, 18, 8, "disc"),
        box(10, 0, 18, 8, IGNORED, 3),
        box(2, 2, 6, 6, HOLE, 3),
        box(10, 0, 18, 8, "bxo", 3),  # an unknown label has its own complaint
    ],
)
def test_groups_of_one_label(second: Shape) -> None:
    assert reported(box(0, 0, 8, 8, "box", 3), second) == []


@pytest.mark.parametrize("group", [None, 4])
def test_holes_without_a_thing(group: int | None) -> None:
    assert reported(box(5, 5, 25, 25, group_id=1), box(10, 10, 20, 20, HOLE, group)) == [
        ("hole-alone", 1)
    ]


def test_a_hole_in_a_hole_cuts_nothing() -> None:
    holes = [box(5, 5, 25, 25, HOLE, 1), box(10, 10, 20, 20, HOLE, 1)]
    assert reported(*holes) == [("hole-alone", 0), ("hole-alone", 1)]


def test_holes_partly_outside_their_thing() -> None:
    thing = box(5, 5, 25, 25, group_id=1)
    (complaint,) = complaints(thing, box(20, 10, 30, 20, HOLE, 1))
    assert (complaint.rule, complaint.shape) == ("hole-outside", 1)
    assert complaint.message.startswith("50% of this hole")
    assert reported(thing, box(16, 10, 25.5, 20, HOLE, 1)) == []  # 5 %: a small inaccuracy
    assert reported(box(16, 10, 25.5, 20, HOLE, 1), thing) == []  # the order does not matter


def test_a_hole_may_cut_two_parts() -> None:
    parts = [box(0, 5, 15, 25, group_id=1), box(15, 5, 30, 25, group_id=1)]
    assert reported(*parts, box(10, 10, 20, 20, HOLE, 1)) == []


def test_one_hole_for_two_groups() -> None:
    things = [box(2, 2, 30, 28, "box", 1), box(2, 2, 24, 20, "disc", 2)]
    holes = [box(10, 10, 20, 18, HOLE, 1), box(10, 10, 20, 18, HOLE, 2)]
    assert reported(*things, *holes) == []
    assert reported(*things, *holes, holes[1]) == [("shape-duplicate", 4)]


def test_a_thing_may_fill_a_hole() -> None:
    frame, hole = box(2, 2, 30, 28, "box", 1), box(10, 10, 20, 20, HOLE, 1)
    assert reported(frame, hole, box(10, 10, 20, 20, "disc")) == []
