"""Matching of queries and locations to things."""

from __future__ import annotations

import numpy as np
import torch

from detr.losses.fast.matching import match_places, match_things
from detr.model.fast.output import DenseOutput, FastLayerOutput, FastOutput
from tests.detr.losses.fast.scenes import BALL, BOX, GRASS, meadow, nothing, prepared, segment_map
from tests.detr.model.fast.models import small_config

CONFIG = small_config()


def output_of(boxes: torch.Tensor, embeddings: torch.Tensor, pixels: torch.Tensor) -> FastOutput:
    """Return an output for a 64x96 photo, given boxes (Q, 4) and mask embeddings (Q, E + 1)."""
    count = len(boxes)
    layer = FastLayerOutput(
        torch.zeros(1, count, 2), boxes[None], embeddings[None], torch.zeros(1, 0)
    )
    return FastOutput(None, (layer,), (pixels,), (), ((64, 96),), (count,))


def test_masks_decide_between_equal_boxes() -> None:
    """Two things cross each other; pixel embeddings distinguish rows from columns."""
    indices = np.ones((64, 96), int)
    indices[28:36, 16:80] = 2
    indices[8:56, 44:52] = 3
    (target,) = prepared(segment_map(indices, [GRASS, BALL, BALL]))
    pixels = torch.zeros(2, 8, 12)
    pixels[0, 3:5], pixels[1, :, 5:7] = 20, 20
    boxes = torch.tensor([[0.5, 0.5, 0.6, 0.6]] * 2)
    embeddings = torch.tensor([[0.0, 1, -5], [1, 0, -5]])  # columns, rows
    output = output_of(boxes, embeddings, pixels)
    (match,) = match_things(output, [pixels], [target], CONFIG).matches[0]
    assert match.queries.tolist() == [0, 1] and match.segments.tolist() == [1, 0]


def test_queries_over_void_are_ignored() -> None:
    """The right half is void; the second of three queries lies there."""
    (target,) = prepared(meadow(void=48))
    boxes = torch.tensor([[0.2, 0.5, 0.2, 0.3], [0.8, 0.5, 0.2, 0.3], [0.4, 0.5, 0.2, 0.3]])
    pixels = torch.zeros(2, 8, 12)
    embeddings = torch.tensor([[0.0, 0, 3]] * 3)
    matching = match_things(output_of(boxes, embeddings, pixels), [pixels], [target], CONFIG)
    assert matching.ignored.tolist() == [[[False, True, False]]]


def dense_of(centres: torch.Tensor, padding: list[bool]) -> DenseOutput:
    """Return locations with class logits 0 and small boxes around their centres."""
    boxes = torch.cat([centres, torch.full_like(centres, 0.1)], 1)
    mask = torch.tensor([padding])
    return DenseOutput(
        torch.zeros(1, len(boxes), 2), boxes[None], lambda *_: (boxes, boxes), centres[None], mask
    )


def test_a_thing_is_matched_to_the_four_locations_of_lowest_cost() -> None:
    """Of six locations in the ball, the last being padding, the four nearest its centre match."""
    (target,) = prepared(meadow())
    x, y = target.cxcywh_norm[0, :2].tolist()
    away = torch.tensor([0.0, 0.01, 0.02, 0.03, 0.04, 0.005])
    centres = torch.stack([x + away, torch.full_like(away, y)], 1)
    dense = dense_of(centres, [False] * 5 + [True])
    (match,) = match_places(dense, [target], CONFIG)
    assert match.queries[match.segments == 0].tolist() == [0, 1, 2, 3]
    assert 5 not in match.queries.tolist()


def test_a_location_is_matched_to_one_thing() -> None:
    """Two things select four of five locations each; no location is matched twice."""
    indices = np.ones((64, 96), int)
    indices[16:48, 16:80], indices[24:40, 32:64] = 2, 3
    (target,) = prepared(segment_map(indices, [GRASS, BALL, BOX]))
    centres = torch.tensor([[0.45, 0.5], [0.5, 0.5], [0.55, 0.5], [0.5, 0.45], [0.5, 0.55]])
    (match,) = match_places(dense_of(centres, [False] * 5), [target], CONFIG)
    assert len(set(match.queries.tolist())) == len(match.queries) == len(match.segments)
    assert set(match.segments.tolist()) <= {0, 1}


def test_photos_without_things_match_nothing() -> None:
    (target,) = prepared(nothing())
    (match,) = match_places(dense_of(torch.rand(5, 2), [False] * 5), [target], CONFIG)
    assert len(match.queries) == len(match.segments) == 0
    output = output_of(torch.rand(3, 4), torch.rand(3, 3), torch.rand(2, 8, 12))
    (match,) = match_things(output, [torch.rand(2, 8, 12)], [target], CONFIG).matches[0]
    assert len(match.queries) == len(match.segments) == 0
