"""The cache: what is read from it is what would be computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from base.errors import InputError
from detr.data.examples import read_splits
from detr.data.padded import pad
from detr.model.detr import DETR
from detr.training.features import ViewCache
from detr.training.learner import Trunk, on_device
from detr.training.train import train
from tests.detr.drawn import draw_set
from tests.detr.training.test_train import CACHED, CPU, run_config


@pytest.fixture(scope="module")
def panoptic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_set(tmp_path_factory.mktemp("drawn") / "panoptic")


def test_the_cache_is_kept_for_a_stopped_run_and_removed_after_the_last(
    panoptic: Path, tmp_path: Path
) -> None:
    splits, config = read_splits(panoptic), replace(CACHED, flip=True)
    torch.manual_seed(0)
    detr = DETR(config, len(splits.classes), pretrained=False).eval()
    examples = replace(splits.examples("train", config), epoch=0)
    cache = ViewCache(tmp_path / "cache", detr, views=2, decoded=True)
    assert len(list(cache.fill(examples, device=CPU))) == 4
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.pt")}
    assert len(files) == 4 * 2 * 2  # photos, views, features and states
    again = ViewCache(tmp_path / "cache", detr, views=2, decoded=True)
    list(again.fill(examples, device=CPU))
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").rglob("*.pt")} == files

    (batch,) = again.batches(replace(examples, epoch=3), [[1]])  # the second view's turn again
    third = replace(examples, epoch=1)
    photo = splits.train.photos[1]
    view = third.view(photo)
    with torch.no_grad():
        output = Trunk(detr)(pad([third.image(photo, view)]))
        found = Trunk(detr)(on_device(batch.seen, CPU))
    assert torch.equal(batch.targets[0].indices, third.segments(photo, view).indices)
    for wanted, kept in [
        (output.guesses[-1].logits, found.guesses[-1].logits),
        (output.guesses[0].cxcywh_norm, found.guesses[0].cxcywh_norm),
        (output.memory, found.memory),
        (output.projected.values, found.projected.values),
        (output.features[1].values, found.features[1].values),
    ]:
        assert torch.allclose(wanted, kept, atol=0.02, rtol=0.02)

    with torch.no_grad():
        detr.class_embed.bias += 1
    list(ViewCache(tmp_path / "cache", detr, views=2, decoded=True).fill(examples, device=CPU))
    new = set((tmp_path / "cache").rglob("*.pt")) - files.keys()
    assert len(new) == 4 * 2 and {p.parts[-3] for p in new} == {"decoded"}  # features still hold
    train(panoptic, tmp_path, run_config(CACHED, epochs=1), "boxes")
    assert not (tmp_path / "cache").exists()


def test_for_boxes_only_the_last_features_are_read(panoptic: Path, tmp_path: Path) -> None:
    splits, config = read_splits(panoptic), replace(CACHED, flip=True)
    detr = DETR(config, len(splits.classes), pretrained=False).eval()
    examples = replace(splits.examples("train", config), epoch=0)
    cache = ViewCache(tmp_path, detr, views=1, decoded=False)
    list(cache.fill(examples, device=CPU))
    (with_masks,) = cache.batches(examples, [[0, 1]])
    (boxes,) = cache.batches(replace(examples, with_masks=False), [[0, 1]])
    assert isinstance(with_masks.seen, list) and len(with_masks.seen) == 4
    assert isinstance(boxes.seen, list) and len(boxes.seen) == 1
    assert torch.equal(boxes.seen[0].values, with_masks.seen[3].values)
    assert torch.equal(boxes.seen[0].padding, with_masks.seen[3].padding)


@pytest.mark.parametrize("kind", ["features", "decoded"])
def test_a_damaged_file_is_removed_and_computed_anew(
    panoptic: Path, tmp_path: Path, kind: str
) -> None:
    """As a power cut may leave it."""
    splits, config = read_splits(panoptic), replace(CACHED, flip=True)
    detr = DETR(config, len(splits.classes), pretrained=False).eval()
    examples = replace(splits.examples("train", config), epoch=0)
    cache = ViewCache(tmp_path, detr, views=1, decoded=True)
    list(cache.fill(examples, device=CPU))
    damaged = next((tmp_path / kind).rglob("*.pt"))
    damaged.write_bytes(damaged.read_bytes()[:50])
    with pytest.raises(InputError, match="was damaged and is removed; start the same command"):
        list(cache.batches(examples, [[0, 1, 2, 3]]))
    assert not damaged.exists()
    list(cache.fill(examples, device=CPU))
    (batch,) = cache.batches(examples, [[0, 1, 2, 3]])
    assert len(batch.targets) == 4
