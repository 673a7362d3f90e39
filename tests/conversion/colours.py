"""Segment ids as the colours of panoptic PNGs, for tests that write PNGs without our encoder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from conversion.coco.png import SegmentIds


def ids_to_rgb(ids: SegmentIds) -> NDArray[np.uint8]:
    """Convert (H, W) uint32 ids to (H, W, 3) uint8 RGB, so that an id is R + 256 G + 256² B."""
    return np.stack([ids & 255, ids >> 8 & 255, ids >> 16 & 255], axis=-1).astype(np.uint8)
