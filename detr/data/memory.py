"""Decoded photos and segment ids of a split in memory, so that no epoch decodes them again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import psutil
from numpy.typing import NDArray

from base.progress import track
from conversion.coco.panoptic import PanopticSet, Photo
from conversion.coco.png import VOID, SegmentIds

SHARE = 0.25  # maximum share of the available memory
BYTES = 3 + 2  # per pixel: of the photo and of its segment ids
Pixels = NDArray[np.uint8]  # (H, W, 3) BGR


@dataclass
class PhotoMemory:
    """Photos and segment ids by photo id. It is filled before worker processes share it.

    The ids are a table of values (N,) and an index into it for every pixel (H, W), which takes half
    the memory. Index 0 is void.
    """

    pixels: dict[int, Pixels] = field(default_factory=dict)
    ids: dict[int, tuple[SegmentIds, NDArray[np.uint16]]] = field(default_factory=dict)

    def fill(
        self,
        panoptic: PanopticSet,
        read_pixels: Callable[[Photo], Pixels],
        title: str,
    ) -> None:
        """Read all photos of a split if they fit into a quarter of the available memory."""
        size = sum(photo.width * photo.height for photo in panoptic.photos) * BYTES
        if size > SHARE * psutil.virtual_memory().available:
            return
        for photo in track(panoptic.photos, title):
            self.pixels[photo.id] = read_pixels(photo)
            ids = panoptic.segment_ids(photo)
            # index 0 is void, as the part of a view that the photo does not cover
            values, indices = np.unique(np.append(VOID, ids), return_inverse=True)
            if len(values) <= np.iinfo(np.uint16).max:
                self.ids[photo.id] = (values, indices[1:].reshape(ids.shape).astype(np.uint16))
