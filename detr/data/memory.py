"""Decoded photos and segment ids of a split in memory, so that no epoch decodes them again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray

from conversion.coco.panoptic import PanopticSet, Photo
from conversion.coco.png import SegmentIds

SHARE = 0.25  # of the available memory that the photos of a split may take
BYTES = 3 + 4  # per pixel: of the photo and of its segment ids
T = TypeVar("T")
Pixels = NDArray[np.uint8]  # (H, W, 3) BGR


@dataclass
class PhotoMemory:
    """Pixels and segment ids by photo id, kept when they are first read, if `keeps`.

    Each worker process has its own, which lasts for one epoch.
    """

    keeps: bool = False
    _pixels: dict[int, Pixels] = field(default_factory=dict)
    _ids: dict[int, SegmentIds] = field(default_factory=dict)

    def pixels(self, photo: Photo, read: Callable[[Photo], Pixels]) -> Pixels:
        """Return the pixels of a photo; `read` reads them if they are not kept."""
        return self._get(self._pixels, photo, read)

    def ids(self, photo: Photo, read: Callable[[Photo], SegmentIds]) -> SegmentIds:
        """Return the segment ids (H, W) of a photo; `read` reads them if they are not kept."""
        return self._get(self._ids, photo, read)

    def _get(self, kept: dict[int, T], photo: Photo, read: Callable[[Photo], T]) -> T:
        found = kept[photo.id] if photo.id in kept else read(photo)
        if self.keeps:
            kept[photo.id] = found
        return found


def fits_in_memory(panoptic: PanopticSet, *, processes: int = 1) -> bool:
    """Return whether every process of a machine may keep the photos of a split in memory."""
    size = sum(photo.width * photo.height for photo in panoptic.photos) * BYTES
    available: int = psutil.virtual_memory().available
    return size * processes <= SHARE * available
