"""Measuring a data set."""

from __future__ import annotations

from dataclasses import replace

from detr.planning.survey import survey
from tests.detr.planning.made import make_set


def test_sizes_numbers_and_categories_are_measured() -> None:
    found = survey(make_set(3, size=(640, 480), things=5, side=40))
    assert (found.photos, found.long_side, found.short_side) == (3, 640, 480)
    assert (found.thing_categories, found.stuff_categories) == (2, 2)
    assert found.thing_sizes == (40, 40)
    assert (found.most_things, found.segments) == (5, 6)


def test_things_are_measured_in_pixels_of_the_typical_photo() -> None:
    """In a photo of twice the size, a thing of twice the size is as large."""
    photos = make_set(3, size=(100, 80), side=10).photos
    (large,) = make_set(1, size=(80 * 2, 100 * 2), side=20).photos
    mixed = replace(make_set(), photos=(*photos, large))
    assert survey(mixed).thing_sizes == (10, 10)
    assert (survey(mixed).long_side, survey(mixed).short_side) == (100, 80)


def test_crowds_do_not_count_and_stuff_alone_has_no_thing_sizes() -> None:
    one = make_set(1, things=5)
    (photo,) = one.photos
    crowd = replace(photo.segments[-1], iscrowd=True)
    crowded = replace(photo, segments=(*photo.segments[:-1], crowd))
    assert survey(replace(one, photos=(crowded,))).most_things == 4
    stuff = survey(make_set(things=0))
    assert (stuff.thing_sizes, stuff.most_things, stuff.thing_categories) == (None, 0, 0)
    empty = survey(replace(one, photos=(replace(photo, segments=()),)))
    assert (empty.thing_sizes, empty.most_things, empty.segments) == (None, 0, 0)
