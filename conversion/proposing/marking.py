"""Marks and proposals that `relabel` adds to the annotation of a photo."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from annotation.labelme.annotation import Shape
from annotation.labelme.proposals import mark, proposed
from conversion.coco.cropped_mask import XYWH
from conversion.coco.panoptic import PanopticSet, Photo
from conversion.proposing.shapes import shapes_of_prediction

FIRST_GROUP = 100_001  # of proposals with several parts; higher than those that people give
_MARGIN = 4  # pixels around a place, so that the mark does not cover its outline

Shapes = tuple[Shape, ...]


@dataclass(frozen=True)
class Place:
    """A place to look at: its box in pixels, and why, in a few words.

    `prediction_id` is the predicted segment that is there, or None.
    """

    xywh: XYWH
    text: str
    prediction_id: int | None


def marks(places: Iterable[Place]) -> Shapes:
    """Return a rectangle around each place, whose label says why it should be looked at."""
    return tuple(mark(_widened(place.xywh), place.text) for place in places)


def _widened(xywh: XYWH) -> tuple[float, float, float, float]:
    x, y, width, height = xywh
    return x - _MARGIN, y - _MARGIN, width + 2 * _MARGIN, height + 2 * _MARGIN


def proposals(
    prediction: PanopticSet, photo: Photo, *, only: Collection[int], labels: Collection[str]
) -> Shapes:
    """Return the predicted segments with the ids `only` as proposals, if they are of `labels`.

    Raises InputError if the PNG of the photo cannot be read.
    """
    if not only:
        return ()
    ids, categories = prediction.segment_ids(photo), prediction.categories
    shapes = shapes_of_prediction(
        photo, ids, categories, labels=labels, only=only, first_group=FIRST_GROUP
    )
    return tuple(map(proposed, shapes))
