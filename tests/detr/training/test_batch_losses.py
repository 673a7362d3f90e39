"""A step has the same losses and gradients however its photos are divided into batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from detr.config import TrainConfig
from detr.data.classes import packed_classes
from detr.data.loader import Step, plan_steps, read_batches
from detr.data.splits import read_splits
from detr.losses.criterion import Losses
from detr.training.batch_losses import step_losses
from detr.training.processes import Processes
from detr.training.stage_model import Stage, StageModel, build_module, prepare_model
from tests.detr.drawn import CATEGORIES, draw_set
from tests.detr.training.runs import CONFIG, CPU, FAST

EXACT = replace(CONFIG, precision="float32")
SIMPLE = replace(EXACT, crop=0, train_sizes=(64,), dropout=0, flip=False)


@pytest.fixture(scope="module")
def five_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_set(tmp_path_factory.mktemp("drawn") / "panoptic", train=5)


def make_model(config: TrainConfig, stage: Stage) -> StageModel:
    torch.manual_seed(0)
    module = build_module(config, packed_classes(CATEGORIES), stage, pretrained=False)
    return prepare_model(module, stage, config, Processes(0, 1, CPU))


def losses_and_gradients(
    model: StageModel, panoptic: Path, batches: tuple[tuple[int, ...], ...]
) -> tuple[Losses, list[Tensor]]:
    examples = read_splits(panoptic).examples("train", model.config)
    step = Step(batches, photos=sum(map(len, batches)), is_counted=True)
    model.module.zero_grad()
    losses = step_losses(model, step, list(read_batches(examples, batches)))
    parameters = model.module.parameters()
    return losses, [p.grad.clone() for p in parameters if p.grad is not None]


def test_every_photo_is_in_one_step_of_one_process() -> None:
    config = TrainConfig(batch_size=2, accumulate=2)
    order = [9, 8, 7, 6, 5, 4, 3, 2, 1]
    alone = plan_steps(order, config)
    assert [step.batches for step in alone] == [
        ((9, 8), (7, 6)),
        ((5, 4), (3, 2)),
        ((1,),),
    ]
    ranks = [plan_steps(order, config, rank=rank, world=2) for rank in (0, 1)]
    assert [step.batches for step in ranks[0]] == [((9, 7), (5, 3)), ((1,),)]
    assert [step.batches for step in ranks[1]] == [((8, 6), (4, 2)), ((1,),)]
    assert [step.is_counted for step in ranks[1]] == [True, False]  # one photo, two processes
    assert [step.photos for step in ranks[1]] == [8, 1]


@pytest.mark.parametrize("stage", ["boxes", "masks", "joint"])
def test_accumulated_batches_equal_one_large_batch(five_photos: Path, stage: Stage) -> None:
    model = make_model(replace(SIMPLE, eos_coef=0.3), stage)
    model.set_training(True)
    whole, whole_gradients = losses_and_gradients(model, five_photos, ((0, 1, 2),))
    parts, part_gradients = losses_and_gradients(model, five_photos, ((0,), (1, 2)))
    assert whole.keys() == parts.keys()
    for name in whole:
        assert float(parts[name]) == pytest.approx(float(whole[name]), rel=1e-3, abs=1e-5), name
    assert len(whole_gradients) == len(part_gradients) > 20
    for part, one in zip(part_gradients, whole_gradients, strict=True):
        assert torch.allclose(part, one, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("stage", ["masks", "joint"])
def test_gradients_are_the_same_if_masks_are_computed_in_parts(
    five_photos: Path, monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    model = make_model(EXACT, stage)
    model.set_training(False)  # no dropout
    monkeypatch.setattr("detr.training.batch_losses.MASKS_AT_ONCE", 1)
    parts, part_gradients = losses_and_gradients(model, five_photos, ((0, 1, 2),))
    monkeypatch.setattr("detr.training.batch_losses.MASKS_AT_ONCE", 1000)
    whole, whole_gradients = losses_and_gradients(model, five_photos, ((0, 1, 2),))
    assert float(parts["loss"]) == pytest.approx(float(whole["loss"]), rel=1e-5)
    assert len(part_gradients) == len(whole_gradients) > 20
    for part, one in zip(part_gradients, whole_gradients, strict=True):
        assert torch.allclose(part, one, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("supported", [True, False])
def test_bfloat16_is_the_default_if_the_processor_supports_it(
    monkeypatch: pytest.MonkeyPatch, supported: bool
) -> None:
    assert CONFIG.precision == "auto"
    monkeypatch.setattr("detr.training.precision.has_avx512_bf16", lambda: supported)
    with make_model(CONFIG, "boxes").autocast():
        assert torch.is_autocast_enabled("cpu") == supported


def test_bfloat16_is_used_if_configured_and_losses_stay_close(five_photos: Path) -> None:
    found = []
    for precision in ("float32", "bfloat16"):
        model = make_model(replace(SIMPLE, precision=precision), "joint")
        dtypes: list[torch.dtype] = []
        model.detr.input_proj.register_forward_hook(
            lambda module, inputs, out, dtypes=dtypes: dtypes.append(out.dtype)
        )
        losses, _ = losses_and_gradients(model, five_photos, ((0, 1),))
        assert all(value.dtype in (torch.float32, torch.float64) for value in losses.values())
        found.append((dtypes[0], float(losses["loss"])))
    assert [dtype for dtype, _ in found] == [torch.float32, torch.bfloat16]
    assert found[1][1] == pytest.approx(found[0][1], rel=0.1)


def test_a_fast_step_is_the_same_however_it_is_divided(five_photos: Path) -> None:
    model = make_model(replace(FAST, precision="float32"), "joint")
    whole, expected = losses_and_gradients(model, five_photos, ((0, 1, 2, 3, 4),))
    parts, found = losses_and_gradients(model, five_photos, ((0, 1), (2,), (3, 4)))
    assert parts.keys() == whole.keys()
    for name, value in whole.items():
        assert parts[name].item() == pytest.approx(value.item(), rel=1e-4, abs=1e-6), name
    for one, other in zip(expected, found, strict=True):
        assert torch.allclose(one, other, rtol=1e-2, atol=1e-4)


def test_bfloat16_changes_fast_losses_a_little(five_photos: Path) -> None:
    exact, rounded = (
        losses_and_gradients(make_model(config, "joint"), five_photos, ((0, 1, 2),))[0]
        for config in (replace(FAST, precision=each) for each in ("float32", "bfloat16"))
    )
    assert rounded["loss"].item() == pytest.approx(exact["loss"].item(), rel=0.03)
