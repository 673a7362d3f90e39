"""Drawn segment maps for tests of the losses of `FastDETR`."""

from __future__ import annotations

import numpy as np
import torch

from detr.data.targets import SegmentMap
from detr.losses.fast.targets import FastTarget, prepare_target
from tests.detr.model.fast.models import KINDS

CPU = torch.device("cpu")
# class indices of the tests' kinds: things 0 and 2, stuff 1, 3 and 4
BALL, SKY, BOX, GRASS, ROAD = range(5)


def segment_map(indices: np.ndarray, labels: list[int]) -> SegmentMap:
    """Return a map with indices (H, W): 0 for void, else 1 + the index into `labels`."""
    height, width = indices.shape
    boxes = []
    for number in range(1, len(labels) + 1):
        rows, columns = np.nonzero(indices == number)
        top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
        box = ((left + right) / 2 / width, (top + bottom) / 2 / height)
        boxes.append((*box, (right - left) / width, (bottom - top) / height))
    return SegmentMap(
        1,
        "a.png",
        (height, width),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.from_numpy(indices.astype(np.uint8)),
    )


def meadow(height: int = 64, width: int = 96, *, void: int = 0) -> SegmentMap:
    """Draw sky above grass, a ball and a box in front, and `void` columns at the right."""
    indices = np.full((height, width), 1)
    indices[height // 2 :] = 2
    indices[20:40, 8:24] = 3
    indices[30:50, 30:54] = 4
    if void:
        indices[:, -void:] = 0
    return segment_map(indices, [SKY, GRASS, BALL, BOX])


def nothing(height: int = 64, width: int = 96) -> SegmentMap:
    """Draw a photo that is entirely unknown, such as one filled by a crowd."""
    return segment_map(np.zeros((height, width), int), [])


def prepared(*maps: SegmentMap) -> list[FastTarget]:
    return [prepare_target(each, KINDS, CPU) for each in maps]
