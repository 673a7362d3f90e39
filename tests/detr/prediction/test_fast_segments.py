"""Segments and instances from drawn masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from conversion.coco.categories import Category
from conversion.coco.png import SegmentIds
from detr.data.padded import pad
from detr.prediction.fast_segments import (
    FastCandidate,
    FastInstance,
    find_candidates,
    lower_repeated,
    merge_candidates,
    to_instance,
)
from detr.prediction.photo_masks import PhotoMasks
from detr.weights.thresholds import SegmentThresholds
from tests.detr.model.fast.models import CLASSES, fast_model, photo

BALL, SKY, BOX, GRASS, ROAD = CLASSES.categories
SEEN = (32, 48)
DEFAULT = SegmentThresholds(things=0.2, stuff=0.5)


def candidate(
    category: Category, score: float, rows: slice, columns: slice, *, logit: float = 8
) -> FastCandidate:
    """Return a candidate with `logit` in a rectangle of its mask at stride 4, and -8 elsewhere."""
    mask = torch.full((8, 16), -8.0)  # 32x48 pixels lie on a canvas of 32x64
    mask[rows, columns] = logit
    return FastCandidate(category, score, mask, torch.tensor([0.5, 0.5, 0.5, 0.5]))


ALL = slice(None)


def masks_of(size: tuple[int, int]) -> PhotoMasks:
    """Return masks for a photo with a white square where most tests have a thing."""
    height, width = size
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[height // 4 : 3 * height // 4, width // 6 : width // 2] = 255
    return PhotoMasks(pixels, input_size=SEEN, size=size)


def merged(
    *candidates: FastCandidate,
    thresholds: SegmentThresholds = DEFAULT,
    size: tuple[int, int] = SEEN,
) -> tuple[SegmentIds, list[tuple[str, tuple[int, ...]]]]:
    ids, regions = merge_candidates(list(candidates), thresholds, masks_of(size))
    assert ids.dtype == np.uint32 and ids.shape == size
    assert set(np.unique(ids)) - {0} == set(range(1, len(regions) + 1))
    return ids, [(r.category.name, r.members) for r in regions]


def test_things_lie_over_stuff() -> None:
    ids, regions = merged(
        candidate(BALL, 0.9, slice(2, 6), slice(2, 6)), candidate(GRASS, 0.9, ALL, ALL)
    )
    assert regions == [("ball", (0,)), ("grass", (1,))]
    assert (ids[8:24, 8:24] == 1).mean() > 0.9 and (ids[:, 32:] == 2).all()


def test_pixels_of_no_candidate_are_void() -> None:
    ids, regions = merged(candidate(BALL, 0.9, slice(2, 6), slice(2, 6)))
    assert regions == [("ball", (0,))]
    assert (ids[:, 30:] == 0).all() and ids[16, 16] == 1
    nothing, none = merged()
    assert not nothing.any() and not none


def test_of_two_candidates_for_one_thing_the_higher_score_remains() -> None:
    region = (slice(2, 6), slice(2, 6))
    _, regions = merged(candidate(BALL, 0.5, *region), candidate(BOX, 0.6, *region))
    assert regions == [("box", (1,))]


def test_thresholds_apply_to_kinds_and_categories() -> None:
    left, right = (ALL, slice(0, 4)), (ALL, slice(6, 10))
    found = [
        candidate(BALL, 0.3, *left),
        candidate(BOX, 0.3, *right),
        candidate(SKY, 0.4, ALL, ALL),
    ]
    assert [name for name, _ in merged(*found)[1]] == ["ball", "box"]
    strict = SegmentThresholds(things=0.2, stuff=0.3, by_category={BOX.id: 0.35})
    assert [name for name, _ in merged(*found, thresholds=strict)[1]] == ["ball", "sky"]


def test_segments_of_a_few_pixels_are_dropped() -> None:
    """A thing of 2x2 pixels in a photo of a quarter of the height and width."""
    found = (candidate(BALL, 0.9, slice(2, 4), slice(2, 4)), candidate(GRASS, 0.9, ALL, ALL))
    assert len(merged(*found)[1]) == 2
    ids, regions = merged(*found, size=(8, 12))
    assert regions == [("grass", (1,))] and (ids == 1).all()


@pytest.mark.parametrize(("size", "scale"), [((32, 48), 1), ((64, 96), 2), ((320, 480), 10)])
def test_masks_are_resized_to_the_photo(size: tuple[int, int], scale: int) -> None:
    """The part of the canvas outside the photo, a quarter of its width, is cropped."""
    found = candidate(BALL, 0.7, slice(2, 6), slice(2, 6))
    instance = to_instance(found, masks_of(size))
    rows, columns = np.nonzero(instance.mask)
    assert (rows.min(), rows.max() + 1) == (8 * scale, 24 * scale)
    assert (columns.min(), columns.max() + 1) == (8 * scale, 24 * scale)
    of_query = (size[1] / 4, size[0] / 4, size[1] / 2, size[0] / 2)
    left, side = 8 * scale, 16 * scale
    of_mask = (left, left, side, side)
    overlap, both = 12 * scale * side, 24 * 16 * scale**2 + side**2  # of the boxes
    assert instance.score == pytest.approx(0.7 * (overlap / (both - overlap)) ** 0.5)
    assert instance.xywh == tuple((q + m) / 2 for q, m in zip(of_query, of_mask, strict=True))


def instance(category: Category, score: float, *xywh: float) -> FastInstance:
    return FastInstance(category, score, np.zeros((1, 1), bool), (xywh[0], xywh[1], *xywh[2:]))


def test_an_instance_that_repeats_a_better_one_has_a_lower_score() -> None:
    found = [
        instance(BALL, 0.4, 0, 0, 10, 10),  # IoU 0.8 with the best one, 0.5 with the next
        instance(BALL, 0.8, 0, 0, 10, 8),
        instance(BALL, 0.6, 0, 0, 5, 10),  # IoU 0.44 with the best one
        instance(BOX, 0.7, 0, 0, 10, 8),  # another category
        instance(BALL, 0.3, 8, 0, 10, 8),  # IoU 0.11 with the best one
        instance(BALL, 0.2, 30, 30, 0, 0),
        instance(BALL, 0.1, 30, 30, 0, 0),
    ]
    best, other, third, *rest = lower_repeated(found)
    assert (best, other) == (found[1], found[3])
    assert third.xywh == found[2].xywh and third.score == pytest.approx(0.6 * (1 - 40 / 90))
    assert [one.score for one in rest] == pytest.approx([0.3, 0.2, 0.1, 0.4 * 0.2 * 0.5])
    assert lower_repeated([]) == []


def test_an_empty_mask_keeps_the_box_of_its_query() -> None:
    found = candidate(BALL, 0.7, ALL, ALL, logit=-8)
    instance = to_instance(found, masks_of(SEEN))
    assert not instance.mask.any() and instance.xywh == (12, 8, 24, 16)


@torch.no_grad()
def test_candidates_of_a_model() -> None:
    """All queries of each photo of a batch, as things, then stuff."""
    output = fast_model()(pad([photo(32, 32), photo(64, 96)]))
    few, many = (find_candidates(output, i, CLASSES) for i in (0, 1))
    assert [len(found) for found in (few, many)] == [21 + 3, 24 + 3]
    assert [c.category.name for c in many[-3:]] == ["sky", "grass", "road"]
    assert all(c.category.isthing for c in many[:-3])
    assert all(0 <= c.score <= 1 and c.mask.shape == (16, 24) for c in many)
    assert len(find_candidates(output, 1, CLASSES, most=5)) == 5 + 3
