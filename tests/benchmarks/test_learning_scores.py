"""Perfect outputs of the peers score 1, whatever the size of the model's input."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.learning_peers import PEERS
from benchmarks.learning_scores import Evaluator
from detr.data.kinds import kinds_of
from detr.data.splits import Splits, read_splits
from detr.settings import Settings
from tests.detr.drawn import draw_set

CERTAIN = 10.0  # logit


class Oracle(nn.Module):
    """Returns the true segments of the test photos, in order, as a peer predicts them."""

    def __init__(self, splits: Splits, *, boxes_only: bool) -> None:
        super().__init__()
        self.splits, self.boxes_only = splits, boxes_only
        self.photos: Iterator = iter(splits.test.photos)

    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        photo, classes = next(self.photos), self.splits.classes
        kinds = kinds_of(classes)
        labels = [classes.index(s.category_id, where="") for s in photo.segments]
        ids = self.splits.test.segment_ids(photo).astype(np.int64)
        masks = torch.from_numpy(np.stack([ids == s.id for s in photo.segments])).float()
        height, width = pixel_values.shape[2:]
        # the input is smaller than the photo by the same factor in both directions, then padded
        factor = 40 / photo.height
        full = (round(height / factor), round(width / factor))
        canvas = F.pad(masks, (0, full[1] - photo.width, 0, full[0] - photo.height))
        if not self.boxes_only:
            logits = torch.nn.functional.one_hot(torch.tensor(labels), len(classes) + 1) * CERTAIN
            return SimpleNamespace(
                class_queries_logits=logits[None].float(),
                masks_queries_logits=(canvas[None] * 2 - 1) * CERTAIN,
            )
        things = [i for i, label in enumerate(labels) if label in kinds.things]
        boxes = torch.tensor([photo.segments[i].bbox for i in things]).float()
        boxes[:, :2] += boxes[:, 2:] / 2
        boxes /= torch.tensor([full[1], full[0]] * 2)
        own = torch.tensor([kinds.things.index(labels[i]) for i in things])
        hot = F.one_hot(own, len(kinds.things)).float()
        return SimpleNamespace(logits=(hot[None] * 2 - 1) * CERTAIN, pred_boxes=boxes[None])


@pytest.mark.parametrize("name", ["rtdetr_v2", "mask2former"])
def test_perfect_outputs_score_one(name: str, tmp_path: Path) -> None:
    splits = read_splits(draw_set(tmp_path / "panoptic"))
    config = Settings({"min_size": 40, "max_size": 60}).config()  # photos are 96x64
    oracle = Oracle(splits, boxes_only=not PEERS[name].has_masks)
    evaluator = Evaluator(PEERS[name], oracle, splits.classes, config, tmp_path / "scored")
    outputs = evaluator.predict(splits.test, splits.images("test"))
    numbers = evaluator.score(splits.test, outputs, threshold=0.5)
    assert numbers.box_ap is not None
    assert numbers.box_ap > 0.85
    if PEERS[name].has_masks:
        assert numbers.mask_ap is not None
        assert numbers.mask_ap > 0.85
        assert numbers.pq is not None
        assert numbers.pq > 0.85
