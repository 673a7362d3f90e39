"""Steps: the same gradients, however the photos of a step are dealt out; rates; averages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from detr.config import TrainConfig
from detr.data.examples import read_splits
from detr.data.loader import Step, batches, plan
from detr.training.average import Average
from detr.training.learner import Learner, Stage, has_bfloat16, start_learner
from detr.training.optimizer import build_optimizer, load_state_by_name, state_by_name
from detr.training.processes import Processes
from detr.training.schedule import best_epoch, rate_factor, stopped_early
from detr.training.stage import build_model, set_training, step_losses, total_loss
from tests.detr.drawn import draw_set
from tests.detr.training.test_train import CONFIG

ALONE = Processes(0, 1, torch.device("cpu"))
EXACT = replace(CONFIG, precision="float32")
SIMPLE = replace(EXACT, crop=0, train_sizes=(64,), dropout=0, flip=False)


@pytest.fixture(scope="module")
def panoptic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_set(tmp_path_factory.mktemp("drawn") / "panoptic", train=5)


def learner(config: TrainConfig, stage: Stage, *, classes: int = 4) -> Learner:
    torch.manual_seed(0)
    model = build_model(config, classes, stage, pretrained=False)
    return start_learner(model, stage, config, ALONE)


def test_every_photo_is_in_one_step_of_one_process() -> None:
    config = TrainConfig(batch_size=2, accumulate=2)
    order = [9, 8, 7, 6, 5, 4, 3, 2, 1]
    alone = plan(order, config)
    assert [step.batches for step in alone] == [
        ((9, 8), (7, 6)),
        ((5, 4), (3, 2)),
        ((1,),),
    ]
    ranks = [plan(order, config, rank=rank, world=2) for rank in (0, 1)]
    assert [step.batches for step in ranks[0]] == [((9, 7), (5, 3)), ((1,),)]
    assert [step.batches for step in ranks[1]] == [((8, 6), (4, 2)), ((1,),)]
    assert [step.counts for step in ranks[1]] == [True, False]  # one photo for two processes
    assert [step.photos for step in ranks[1]] == [8, 1]


@pytest.mark.parametrize("stage", ["boxes", "masks", "joint"])
def test_accumulated_batches_are_one_large_batch(panoptic: Path, stage: Stage) -> None:
    config = replace(SIMPLE, eos_coef=0.3)
    examples = read_splits(panoptic).examples("train", config)
    model = learner(config, stage)
    set_training(model, True)
    found = []
    for cuts in (((0, 1, 2),), ((0,), (1, 2))):
        model.model.zero_grad()
        step = Step(cuts, photos=3, counts=True)
        losses = step_losses(model, step, list(batches(examples, cuts)))
        gradients = [p.grad.clone() for p in model.model.parameters() if p.grad is not None]
        found.append((losses, gradients))
    (whole, whole_gradients), (parts, part_gradients) = found
    assert whole.keys() == parts.keys()
    for name in whole:
        assert float(parts[name]) == pytest.approx(float(whole[name]), rel=1e-3, abs=1e-5), name
    assert len(whole_gradients) == len(part_gradients) > 20
    for part, one in zip(part_gradients, whole_gradients, strict=True):
        assert torch.allclose(part, one, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("stage", ["masks", "joint"])
def test_masks_in_parts_give_the_gradients_of_all_at_once(
    panoptic: Path, monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    splits = read_splits(panoptic)
    (step,) = plan([0, 1, 2], replace(CONFIG, batch_size=3))
    read = list(batches(splits.examples("train", CONFIG), step.batches))
    model = learner(EXACT, stage)
    set_training(model, False)  # no dropout
    gradients, losses = [], []
    for most in (1, 1000):
        monkeypatch.setattr("detr.training.stage.MASKS_AT_ONCE", most)
        model.model.zero_grad()
        losses.append(total_loss(step_losses(model, step, read), stage))
        gradients.append([p.grad.clone() for p in model.model.parameters() if p.grad is not None])
    assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-5)
    assert len(gradients[0]) == len(gradients[1]) > 20
    for parts, whole in zip(*gradients, strict=True):
        assert torch.allclose(parts, whole, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("there", [True, False])
def test_by_itself_bfloat16_is_used_where_it_is_there(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    assert CONFIG.precision == "auto"
    with learner(CONFIG, "boxes").autocast():
        assert torch.is_autocast_enabled("cpu") == has_bfloat16("cpu")
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: there)
    with learner(CONFIG, "boxes").autocast():
        assert torch.is_autocast_enabled("cpu") == there


def test_bfloat16_is_used_where_asked_for_and_losses_stay_close(panoptic: Path) -> None:
    examples = read_splits(panoptic).examples("train", SIMPLE)
    cuts = ((0, 1),)
    seen = []
    for precision in ("float32", "bfloat16"):
        model = learner(replace(SIMPLE, precision=precision), "joint")
        kinds = []
        model.detr.input_proj.register_forward_hook(lambda m, i, out, k=kinds: k.append(out.dtype))
        losses = step_losses(model, Step(cuts, 2, True), list(batches(examples, cuts)))
        assert all(value.dtype in (torch.float32, torch.float64) for value in losses.values())
        seen.append((kinds[0], float(total_loss(losses, "joint"))))
    assert [kind for kind, _ in seen] == [torch.float32, torch.bfloat16]
    assert seen[1][1] == pytest.approx(seen[0][1], rel=0.1)


def test_rates_rise_then_fall() -> None:
    def rates(config: TrainConfig, steps: list[int]) -> list[float]:
        return [rate_factor(config, "boxes", step=s, steps_an_epoch=10) for s in steps]

    step = TrainConfig(epochs=4, lr_drop=2, warmup_steps=4)
    assert rates(step, [0, 1, 3, 19, 20]) == pytest.approx([0.25, 0.5, 1, 1, 0.1])
    cosine = TrainConfig(epochs=4, schedule="cosine")
    assert rates(cosine, [0, 20, 40]) == pytest.approx([1, 0.5, 0])
    masks = TrainConfig(mask_epochs=4, mask_lr_drop=1)
    assert rate_factor(masks, "masks", step=10, steps_an_epoch=10) == pytest.approx(0.1)


def test_early_stopping_counts_from_the_best_epoch() -> None:
    config = TrainConfig(patience=2)

    def history(*losses: float) -> list[dict[str, object]]:
        return [{"epoch": i, "test": {"loss": x}} for i, x in enumerate(losses, start=1)]

    assert best_epoch(history(3, 2, 2.5)) == 2
    assert not stopped_early(config, history(3, 2, 2.5))
    assert stopped_early(config, history(3, 2, 2.5, 2.5))
    assert not stopped_early(TrainConfig(), history(3, 2, 2.5, 2.5))
    scored = [{"epoch": 1, "scores": {"box_ap": 0.5}, "test": {"loss": 2.0}}]
    scored += [{"epoch": 2, "scores": {}, "test": {"loss": 1.0}}]
    assert best_epoch(scored) == 1  # a score is worth more than a loss
    assert best_epoch([{"epoch": 1, "test": {}}]) is None


def test_an_average_of_equal_weights_is_that_weight_and_weights_come_back() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 8.0)
    average = Average(model, decay=0.5)
    torch.nn.init.constant_(model.weight, 0.0)
    average.update(step=1000)
    with average.in_place() as own:
        assert model.weight.item() == 4
        assert own["weight"].item() == 0
    assert model.weight.item() == 0
    average.update(step=0)  # early averages are short: a tenth of the old remains
    with average.in_place():
        assert model.weight.item() == pytest.approx(0.4)


def test_the_state_of_weights_outlives_freezing_and_a_new_head() -> None:
    """A trained optimiser's state is found by name, whatever else is trained beside."""
    before = learner(replace(SIMPLE, lr_backbone=1e-5), "boxes").model
    optimizer = build_optimizer(before, SIMPLE, lr=1e-4)
    for parameter in before.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    state = state_by_name(optimizer, before)

    after = learner(replace(SIMPLE, lr_backbone=0), "boxes", classes=9).model
    restored = build_optimizer(after, SIMPLE, lr=1e-4)
    load_state_by_name(restored, after, state)
    found = state_by_name(restored, after)
    trained = {n for n, p in after.named_parameters() if p.requires_grad}
    assert trained - found.keys() == {"class_embed.weight", "class_embed.bias"}
    assert not any(name.startswith("backbone") for name in found)
    for name in found:
        assert torch.equal(found[name]["exp_avg"], state[name]["exp_avg"])
    for parameter in after.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    restored.step()
    assert state_by_name(restored, after)["class_embed.weight"]["step"] == 1
    assert state_by_name(restored, after)["query_embed.weight"]["step"] == 2
