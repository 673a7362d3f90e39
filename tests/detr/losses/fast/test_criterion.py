"""The losses of FastDETR: which outputs get gradients, and how the losses add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from detr.data.padded import pad
from detr.data.targets import SegmentMap
from detr.losses.criterion import Losses
from detr.losses.fast.criterion import fast_losses
from detr.losses.fast.targets import count_targets
from detr.model.fast.detr import FastDETR
from detr.model.fast.output import FastOutput
from detr.prediction.fast_segments import find_candidates, merge_candidates
from detr.prediction.photo_masks import PhotoMasks
from detr.weights.thresholds import SegmentThresholds
from tests.detr.losses.fast.scenes import BALL, GRASS, meadow, nothing, prepared, segment_map
from tests.detr.model.fast.models import CLASSES, KINDS, fast_model, photo, small_config

PARTS = ("ce", "bbox", "giou", "mask", "dice", "presence")


def losses_of(model: FastDETR, maps: list[SegmentMap], totals: Tensor | None = None) -> Losses:
    targets = prepared(*maps)
    output = model(pad([photo(*each.size) for each in maps]))
    return fast_losses(
        output, targets, count_targets(targets) if totals is None else totals, model.config
    )


def gradients(model: FastDETR, losses: Losses) -> dict[str, Tensor]:
    """Return the gradients of the sum by parameter name; zeros where there is none."""
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    total = torch.stack(list(losses.values())).sum()
    found = torch.autograd.grad(total, list(trained.values()), materialize_grads=True)
    return dict(zip(trained, found, strict=True))


def test_names() -> None:
    losses = losses_of(fast_model().train(), [meadow()])
    dense = {f"loss_{part}_dense" for part in PARTS[:5]}
    assert losses.keys() == {
        *(f"loss_{part}{layer}" for part in PARTS for layer in ("", "_0")),
        *dense,
        "loss_semantic",
    }
    assert all(value.isfinite() and value > 0 for value in losses.values())
    without = losses_of(fast_model(aux_loss=False).train(), [meadow()])
    assert without.keys() == {*(f"loss_{part}" for part in PARTS), *dense, "loss_semantic"}


@pytest.mark.parametrize("deformable", [True, False])
def test_parts_of_a_step_add_up_to_the_step(deformable: bool) -> None:
    """Photos of different sizes, one without segments: in one batch and in three."""
    model = fast_model(deformable=deformable).train()
    maps = [meadow(), nothing(40, 40), meadow(70, 60, void=6), meadow()]
    totals = count_targets(prepared(*maps))
    whole = losses_of(model, maps)
    parts = [losses_of(model, cut, totals) for cut in (maps[:1], maps[1:3], maps[3:])]
    for name, value in whole.items():
        assert float(sum(part[name].detach() for part in parts)) == pytest.approx(
            float(value.detach()), rel=1e-4
        )
    expected = gradients(model, whole)
    found = [gradients(model, part) for part in parts]
    for name, gradient in expected.items():
        together = sum((each[name] for each in found), torch.zeros(()))
        assert (together - gradient).norm() <= 1e-3 * gradient.norm() + 1e-7, name


def test_an_entirely_unknown_photo_has_no_losses_and_gradients() -> None:
    """For example, a photo filled by a crowd."""
    model = fast_model().train()
    losses = losses_of(model, [nothing()])
    assert all(float(value.detach()) == 0 for value in losses.values())
    assert not any(gradient.any() for gradient in gradients(model, losses).values())


def with_leaves(output: FastOutput) -> tuple[FastOutput, dict[str, Tensor]]:
    """Return the output of the last layer with detached leaves, whose gradients can be read."""
    dense, last = output.dense, output.layers[-1]
    assert dense is not None
    leaves = {
        "dense": dense.logits,
        "logits": last.logits,
        "presence": last.presence,
        "pixels": output.pixels[0],
        "semantic": output.semantic[0],
    }
    leaves = {name: value.detach().requires_grad_() for name, value in leaves.items()}
    layer = replace(last, logits=leaves["logits"], presence=leaves["presence"])
    cut = FastOutput(
        replace(dense, logits=leaves["dense"]),
        (layer,),
        (leaves["pixels"],),
        (leaves["semantic"],),
        output.sizes,
        output.num_queries,
    )
    return cut, leaves


def test_void_and_crowds_give_no_gradients() -> None:
    """The right half of the photo, 48 columns, is unknown; predictions there have no gradient.

    Gradients reach only queries of things, locations in the left half, and pixels up to its border.
    """
    model, each = fast_model().train(), meadow(void=48)
    targets = prepared(each)
    output, leaves = with_leaves(model(pad([photo(64, 96)])))
    boxes = output.layers[0].cxcywh_norm
    right = boxes.clone()
    right[0, :24] = torch.tensor([0.8, 0.5, 0.2, 0.3])  # all queries; those of things follow
    right[0, :2] = torch.tensor([[16 / 96, 0.4, 0.2, 0.4], [40 / 96, 0.6, 0.2, 0.4]])
    layer = replace(output.layers[0], cxcywh_norm=right)
    losses = fast_losses(
        replace(output, layers=(layer,)), targets, count_targets(targets), model.config
    )
    torch.autograd.backward(torch.stack(list(losses.values())).sum())
    found = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
    assert found.keys() == leaves.keys()
    assert not found["semantic"][:, :, 12:].any() and found["semantic"][:, :, :12].any()
    assert not found["pixels"][:, :, 13:].any() and found["pixels"][:, :, :12].any()
    assert output.dense is not None
    unknown = output.dense.centres_norm[0, :, 0] > 0.5
    assert not found["dense"][0, unknown].any() and found["dense"][0, ~unknown].any()
    assert not found["logits"][0, 2:].any() and found["logits"][0, :2].any()
    # sky and grass are present; that road is absent is only half certain
    certain, half = found["presence"][0, :2].abs(), found["presence"][0, 2].abs()
    assert certain.all() and half.item() > 0


def test_unmatched_queries_over_known_pixels_are_negatives() -> None:
    model, targets = fast_model().train(), prepared(meadow())
    output, leaves = with_leaves(model(pad([photo(64, 96)])))
    losses = fast_losses(output, targets, count_targets(targets), model.config)
    torch.autograd.backward(losses["loss_ce"])
    gradient = leaves["logits"].grad
    assert gradient is not None
    assert gradient[0].any(1).all()
    assert (gradient > 0).sum() >= 22 * 2  # both logits of all unmatched queries are pushed down


def test_more_things_than_locations_and_queries() -> None:
    """64 things in a photo with 21 locations."""
    indices = np.arange(1, 65).reshape(8, 8).repeat(4, 0).repeat(4, 1)
    model = fast_model(num_queries=60).train()
    losses = losses_of(model, [segment_map(indices, [BALL] * 64), meadow()])
    assert all(value.isfinite() for value in losses.values())


def test_a_set_without_one_of_the_kinds() -> None:
    """If targets have only one kind, all losses are finite."""
    model = fast_model().train()
    grass, ball = (segment_map(np.ones((32, 32), int), [label]) for label in (GRASS, BALL))
    for each in (grass, ball):
        losses = losses_of(model, [each])
        assert all(value.isfinite() for value in losses.values())


def test_the_model_overfits_a_drawn_photo() -> None:
    """A bright ball and a dark box between sky and grass are predicted after 40 steps."""
    torch.manual_seed(0)
    each = meadow()
    colours = torch.tensor([[0.0, 0, 0], [0.4, 0.6, 1], [0, 1, 0.2], [1, 1, 1], [-1, -1, -1]])
    normalised = colours[each.indices.long()]
    image = pad([normalised.permute(2, 0, 1).contiguous()])
    targets = prepared(each)
    model = FastDETR(small_config(num_queries=8), KINDS, pretrained=True).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    for _ in range(40):
        losses = fast_losses(model(image), targets, count_targets(targets), model.config)
        optimizer.zero_grad()
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    output = model.eval()(image)
    pixels = ((normalised + 1) * 127).numpy().astype(np.uint8)
    ids, regions = merge_candidates(
        find_candidates(output, 0, CLASSES),
        SegmentThresholds(things=0.2, stuff=0.5),
        PhotoMasks(pixels, input_size=(64, 96), size=(64, 96)),
    )
    assert sorted(r.category.name for r in regions) == ["ball", "box", "grass", "sky"]
    names = np.array(["", *(region.category.name for region in regions)])[ids]
    wanted = np.array(["", "sky", "grass", "ball", "box"])[each.indices.numpy()]
    assert (names == wanted).mean() > 0.9
