"""Segments that the user has deleted in the App stay deleted while they are unchanged."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from conversion.coco.panoptic import Segment
from curation.loading.masks import PhotoMasks


@dataclass(frozen=True)
class Deleted:
    """The segments of a photo that were loaded and are no longer in the App.

    `scene` are the (H, W) category ids of the photo as it was loaded, `masks` the files of the
    deleted segments.
    """

    scene: NDArray[np.uint8] | NDArray[np.uint16]
    masks: frozenset[bytes]

    def has(self, segment: Segment, masks: PhotoMasks) -> bool:
        """Whether a segment has the pixels and the category of a deleted one."""
        path = masks.segment(segment.id)
        if path.read_bytes() not in self.masks:
            return False
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        x, y, width, height = segment.bbox
        before = self.scene[y : y + height, x : x + width]
        if mask is None or before.shape != mask.shape:
            return False
        return bool((before[mask > 0] == segment.category_id).all())


def find_deleted(scene: Path, shown: Collection[int]) -> Deleted | None:
    """Return the segments beside the file `scene` that are not `shown`, or None if all are."""
    files = [path for path in scene.parent.glob("*.png") if path.stem.isdigit()]
    gone = [path for path in files if int(path.stem) not in shown]
    before = cv2.imread(str(scene), cv2.IMREAD_UNCHANGED) if gone else None
    if before is None:
        return None
    return Deleted(np.asarray(before, before.dtype), frozenset(path.read_bytes() for path in gone))
