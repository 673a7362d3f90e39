"""From masks to segments, in images of a few pixels."""

from __future__ import annotations

import numpy as np
import torch

from detr.data.classes import ClassTable
from detr.prediction.postprocess import Candidate, Detection, assign_pixels, find_detections
from tests.detr.drawn import CATEGORIES

GRASS, SKY, CIRCLE, SQUARE = CATEGORIES


def candidate(category_index: int, score: float, mask: list[list[float]]) -> Candidate:
    detection = Detection(0, CATEGORIES[category_index], score, beats_no_object=True)
    return Candidate(detection, torch.tensor(mask), torch.zeros(4))


def box(value: float, columns: slice, rows: slice = slice(None)) -> list[list[float]]:
    """An 8x8 mask of `value` in some rows and columns, -9 elsewhere."""
    mask = torch.full((8, 8), -9.0)
    mask[rows, columns] = value
    return mask.tolist()


def test_each_pixel_goes_to_the_highest_mask() -> None:
    left, right = box(2, slice(0, 5)), box(3, slice(4, 8))
    ids, regions = assign_pixels(
        [candidate(2, 0.9, left), candidate(3, 0.8, right)], width=8, height=8
    )
    assert ids[0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2]
    assert [r.category for r in regions] == [CIRCLE, SQUARE]


def test_stuff_of_one_category_is_one_segment_and_things_stay_separate() -> None:
    found = [
        candidate(1, 0.9, box(2, slice(0, 2))),
        candidate(2, 0.9, box(2, slice(2, 4))),
        candidate(1, 0.95, box(2, slice(4, 6))),
        candidate(2, 0.9, box(2, slice(6, 8))),
    ]
    ids, regions = assign_pixels(found, width=8, height=8)
    assert ids[3].tolist() == [1, 1, 2, 2, 1, 1, 3, 3]
    assert [(r.category, r.score) for r in regions] == [(SKY, 0.95), (CIRCLE, 0.9), (CIRCLE, 0.9)]


def test_pixels_of_dropped_small_segments_go_to_the_next_highest_logit() -> None:
    """The square has only 4 pixels, where the circle is second best and the sky third."""
    found = [
        candidate(1, 0.9, box(0, slice(None))),
        candidate(3, 0.9, box(5, slice(0, 2), slice(0, 2))),
        candidate(2, 0.9, box(1, slice(0, 3), slice(0, 3))),
    ]
    ids, regions = assign_pixels(found, width=8, height=8)
    assert [r.category for r in regions] == [SKY, CIRCLE]
    assert np.count_nonzero(ids == 2) == 9


def test_without_candidates_all_pixels_are_void() -> None:
    ids, regions = assign_pixels([], width=3, height=2)
    assert ids.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert regions == []


def test_gaps_between_ids_and_low_scores_are_not_detected() -> None:
    """Published models have classes without a category; the last class is no-object."""
    table = ClassTable((CIRCLE,), (0, CIRCLE.id))
    logits = torch.tensor([[9.0, 0, 0], [0, 9, 0], [0, 0, 9], [0, 1, 1.5]])
    found = find_detections(logits, table, min_score=0.05)
    assert [(c.query, c.category, c.beats_no_object) for c in found] == [
        (1, CIRCLE, True),
        (3, CIRCLE, False),
    ]
