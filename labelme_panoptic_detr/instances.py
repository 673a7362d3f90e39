"""Instances: the things of a photo with their boxes, and the picture of these boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from conversion.coco.categories import Category
from evaluation.report.draw import Picture, letter_height
from evaluation.report.lettering import render

LEAST_DRAWN = 0.5  # score of a box in the picture; lower ones are often repetitions


@dataclass(frozen=True)
class PanopticInstance:
    """One thing with its box.

    `xyxy` is the box in pixels, from the left upper to the right lower corner: in a prediction, the
    one that the model predicts, which box AP judges; in the ground truth, that of the visible
    pixels. `score` (0..1) is None in the ground truth.
    """

    category: Category
    score: float | None
    xyxy: tuple[float, float, float, float]


def draw_boxes(photo: Picture, instances: Sequence[PanopticInstance], *, scale: float) -> Picture:
    """Draw the boxes of instances in the colours of their categories, with names and scores.

    `photo` is (H, W, 3) RGB, `scale` its size divided by that of the pixels of `xyxy`. Boxes with a
    score below LEAST_DRAWN are left out. Returns a new picture.
    """
    picture = np.ascontiguousarray(photo).copy()
    drawn = [one for one in instances if one.score is None or one.score >= LEAST_DRAWN]
    boxes = [np.round(np.multiply(one.xyxy, scale)).astype(int).tolist() for one in drawn]
    thick = max(2, letter_height(picture.shape[1]) // 5)
    for one, (left, top, right, bottom) in zip(drawn, boxes, strict=True):
        for colour, width in (((255, 255, 255), thick + 2), (one.category.color, thick)):
            cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), colour, width)
    for one, (left, top, _, _) in zip(drawn, boxes, strict=True):  # above all boxes
        _write_name(picture, one, left=left, top=top)
    return picture


def _write_name(picture: Picture, one: PanopticInstance, *, left: int, top: int) -> None:
    """Write the name and the score of an instance at the left upper corner of its box."""
    score = "" if one.score is None else f" {one.score:.2f}"
    height, width = picture.shape[:2]
    lettering = render(
        one.category.name + score,
        height=letter_height(width),
        otherwise=f"#{one.category.id}{score}",
    )
    rows, columns = lettering.letters.shape
    left, top = max(0, min(left, width - columns)), max(0, min(top - rows, height - rows))
    lettering.write(picture, left=left, top=top)
