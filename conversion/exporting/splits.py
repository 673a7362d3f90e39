"""The photos of all splits, with progress."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from base.progress import track
from conversion.coco.panoptic import PanopticSet, Photo

Splits = dict[str, PanopticSet]


@dataclass(frozen=True, slots=True)
class SplitPhoto:
    """A photo, its split and the set of that split."""

    split: str
    panoptic: PanopticSet
    photo: Photo


def track_photos(splits: Splits) -> Iterator[SplitPhoto]:
    """Yield the photos of all splits and show the progress."""
    total = sum(len(panoptic.photos) for panoptic in splits.values())
    photos = (
        SplitPhoto(split, panoptic, photo)
        for split, panoptic in splits.items()
        for photo in panoptic.photos
    )
    yield from track(photos, "export", total=total)
