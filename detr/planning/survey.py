"""Measurements of a data set that settings depend on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conversion.coco.panoptic import PanopticSet


@dataclass(frozen=True)
class Survey:
    """A training split. Sizes are in pixels of its typical photo.

    `thing_sizes` are square roots of areas: a quarter of the things are smaller than the first,
    half of them smaller than the second. It is None without things. Crowds are not counted.
    """

    photos: int
    long_side: int  # the typical photo has the median of the photos' longer and shorter sides
    short_side: int
    thing_categories: int
    stuff_categories: int
    thing_sizes: tuple[float, float] | None
    most_things: int  # in one photo
    segments: float  # median of a photo


def survey(panoptic: PanopticSet) -> Survey:
    """Measure a split, from its JSON alone."""
    photos = panoptic.photos
    things = {category.id for category in panoptic.categories if category.isthing}
    longest = [max(photo.width, photo.height) for photo in photos]
    long_side = float(np.median(longest))
    short_side = float(np.median([min(photo.width, photo.height) for photo in photos]))
    segments = [[s for s in photo.segments if not s.iscrowd] for photo in photos]
    sizes = [
        segment.area**0.5 * long_side / own  # photos of other sizes are resized in training
        for own, found in zip(longest, segments, strict=True)
        for segment in found
        if segment.category_id in things
    ]
    quarter, half = np.quantile(sizes, (0.25, 0.5)) if sizes else (0.0, 0.0)
    return Survey(
        photos=len(photos),
        long_side=round(long_side),
        short_side=round(short_side),
        thing_categories=len(things),
        stuff_categories=len(panoptic.categories) - len(things),
        thing_sizes=(float(quarter), float(half)) if sizes else None,
        most_things=max(sum(s.category_id in things for s in found) for found in segments),
        segments=float(np.median([len(found) for found in segments])),
    )
