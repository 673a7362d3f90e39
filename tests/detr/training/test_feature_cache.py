"""The feature cache returns the outputs that the model would compute."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from base.errors import InputError
from detr.data.padded import pad
from detr.data.splits import read_splits
from detr.model.detr import DETR
from detr.training.feature_cache import FeatureCache
from detr.training.stage_model import Trunk, to_device
from detr.training.train import train
from tests.detr.training.runs import CACHED, CPU, run_config


def test_cached_views_are_reused_and_removed_after_training(panoptic: Path, tmp_path: Path) -> None:
    splits, config = read_splits(panoptic), replace(CACHED, flip=True)
    torch.manual_seed(0)
    detr = DETR(config, len(splits.classes), pretrained=False).eval()
    examples = replace(splits.examples("train", config), epoch=0)
    cache = FeatureCache(tmp_path / "cache", detr, views=2, decoded=True)
    assert len(list(cache.fill(examples, device=CPU))) == 4
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.pt")}
    assert len(files) == 4 * 2 * 2  # photos, views, features and states
    again = FeatureCache(tmp_path / "cache", detr, views=2, decoded=True)
    list(again.fill(examples, device=CPU))
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.pt")} == files

    (batch,) = again.read_batches(replace(examples, epoch=3), [[1]])  # uses the view of epoch 1
    third = replace(examples, epoch=1)
    photo = splits.train.photos[1]
    view = third.view(photo)
    with torch.no_grad():
        output = Trunk(detr)(pad([third.image(photo, view)]))
        found = Trunk(detr)(to_device(batch.inputs, CPU))
    assert torch.equal(batch.targets[0].indices, third.segments(photo, view).indices)
    for wanted, kept in [
        (output.layers[-1].logits, found.layers[-1].logits),
        (output.layers[0].cxcywh_norm, found.layers[0].cxcywh_norm),
        (output.memory, found.memory),
        (output.projected.values, found.projected.values),
        (output.features[1].values, found.features[1].values),
    ]:
        assert torch.allclose(wanted, kept, atol=0.02, rtol=0.02)

    with torch.no_grad():
        detr.class_embed.bias += 1
    list(FeatureCache(tmp_path / "cache", detr, views=2, decoded=True).fill(examples, device=CPU))
    new = set((tmp_path / "cache").rglob("*.pt")) - files.keys()
    assert len(new) == 4 * 2 and {p.parts[-3] for p in new} == {"decoded"}  # features are reused
    train(panoptic, tmp_path, run_config(CACHED, epochs=1), "boxes")
    assert not (tmp_path / "cache").exists()


def test_the_boxes_stage_reads_only_the_last_features(panoptic: Path, tmp_path: Path) -> None:
    splits, config = read_splits(panoptic), replace(CACHED, flip=True)
    detr = DETR(config, len(splits.classes), pretrained=False).eval()
    examples = replace(splits.examples("train", config), epoch=0)
    cache = FeatureCache(tmp_path, detr, views=1, decoded=False)
    list(cache.fill(examples, device=CPU))
    (with_masks,) = cache.read_batches(examples, [[0, 1]])
    (boxes,) = cache.read_batches(replace(examples, with_masks=False), [[0, 1]])
    assert isinstance(with_masks.inputs, list) and len(with_masks.inputs) == 4
    assert isinstance(boxes.inputs, list) and len(boxes.inputs) == 1
    assert torch.equal(boxes.inputs[0].values, with_masks.inputs[3].values)
    assert torch.equal(boxes.inputs[0].padding, with_masks.inputs[3].padding)


@pytest.mark.parametrize("kind", ["features", "decoded"])
def test_a_damaged_file_is_removed_and_computed_again(
    panoptic: Path, tmp_path: Path, kind: str
) -> None:
    """For example, after a power failure."""
    splits, config = read_splits(panoptic), replace(CACHED, flip=True)
    detr = DETR(config, len(splits.classes), pretrained=False).eval()
    examples = replace(splits.examples("train", config), epoch=0)
    cache = FeatureCache(tmp_path, detr, views=1, decoded=True)
    list(cache.fill(examples, device=CPU))
    damaged = next((tmp_path / kind).rglob("*.pt"))
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:50])
    list(cache.fill(examples, device=CPU))
    assert damaged.stat().st_size == len(whole)
    damaged.write_bytes(bytes(len(whole) - 22) + whole[-22:])
    with pytest.raises(InputError, match="was damaged and has been removed; run the same command"):
        list(cache.read_batches(examples, [[0, 1, 2, 3]]))
    assert not damaged.exists()
    list(cache.fill(examples, device=CPU))
    (batch,) = cache.read_batches(examples, [[0, 1, 2, 3]])
    assert len(batch.targets) == 4
