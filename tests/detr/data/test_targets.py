"""Segments are found in maps of ids, numbered without gaps, with their boxes and masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detr.data.targets import SegmentMap, find_segments

IDS = np.array([[7, 7, 900], [7, 0, 900]], np.uint32)


def test_boxes_cover_their_pixels() -> None:
    found = find_segments(IDS, [7, 900])
    assert found.wanted == [0, 1]
    assert found.indices.tolist() == [[1, 1, 2], [1, 0, 2]]
    expected = [[1 / 3, 0.5, 2 / 3, 1], [2.5 / 3, 0.5, 1 / 3, 1]]
    assert found.cxcywh_norm == pytest.approx(np.array(expected))


def test_absent_segments_leave_no_gaps_and_others_are_void() -> None:
    found = find_segments(IDS, [5, 900])
    assert found.wanted == [1]
    assert found.indices.tolist() == [[0, 0, 1], [0, 0, 1]]
    assert find_segments(IDS, []).cxcywh_norm.shape == (0, 4)


@pytest.mark.parametrize(("count", "dtype"), [(255, np.uint8), (256, np.int16), (400, np.int16)])
def test_more_than_255_segments_need_a_wider_dtype(count: int, dtype: type) -> None:
    ids = np.arange(1, count + 1, dtype=np.uint32)[None].repeat(2, axis=0) << 12
    found = find_segments(ids, ids[0].tolist())
    assert found.indices.dtype == dtype
    assert found.indices.tolist() == [list(range(1, count + 1))] * 2


def test_masks_are_computed_from_the_map() -> None:
    found = find_segments(IDS, [7, 900])
    segments = SegmentMap(
        image_id=1,
        file_name="a.jpg",
        size=(2, 3),
        labels=torch.tensor([4, 5]),
        cxcywh_norm=torch.from_numpy(found.cxcywh_norm),
        indices=torch.from_numpy(found.indices),
    )
    target = segments.to(torch.device("cpu"))
    assert target.labels.tolist() == [4, 5]
    assert target.masks.int().tolist() == [[[1, 1, 0], [1, 0, 0]], [[0, 0, 1], [0, 0, 1]]]
    assert segments.without_masks().indices.shape == (0, 0)
