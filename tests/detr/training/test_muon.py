"""Muon: orthogonal updates, the parameters it trains, and its effect."""

from __future__ import annotations

import torch
from torch import nn

from detr.training.muon import ITERATIONS, MuonAdamW, is_hidden_matrix, orthogonalise
from detr.training.optimizer import build_optimizer, load_state_by_name, state_by_name
from tests.detr.model.fast.models import fast_model


def test_updates_are_nearly_orthogonal() -> None:
    torch.manual_seed(0)
    matrices = torch.randn(3, 24, 80)
    singular = torch.linalg.svdvals(orthogonalise(matrices))
    assert singular.min() > 0.6
    assert singular.max() < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    alike = torch.nn.functional.cosine_similarity(
        orthogonalise(matrices).flatten(1), (left @ right).flatten(1)
    )
    assert alike.min() > 0.95


def test_one_step_applies_what_torchs_muon_applies() -> None:
    """torch's own Muon differs only in precision: it iterates in bfloat16."""
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.ones(48, 32)) for _ in range(2))
    gradient = torch.randn(48, 32)
    ours.grad, theirs.grad = gradient.clone(), gradient.clone()
    group = {"params": [ours], "lr": 1e-2, "weight_decay": 0.1, "muon": True}
    MuonAdamW([group], fused=False).step()
    torch.optim.Muon(
        [theirs], lr=1e-2, weight_decay=0.1, ns_steps=ITERATIONS, adjust_lr_fn="match_rms_adamw"
    ).step()
    change, expected = (1 - ours).flatten(), (1 - theirs).flatten()
    assert torch.nn.functional.cosine_similarity(change, expected, dim=0) > 0.999
    torch.testing.assert_close(change.norm(), expected.norm(), rtol=0.02, atol=0)


def test_outputs_vectors_and_the_backbone_are_trained_by_adamw() -> None:
    model = fast_model()
    chosen = {n for n, p in model.named_parameters() if is_hidden_matrix(n, p)}
    assert "decoder.layers.0.self_attn.in_proj_weight" in chosen
    assert "pyramid.lateral.0.conv.weight" in chosen
    assert not any("backbone" in n or "class_embed" in n or n.endswith("bias") for n in chosen)


def test_packed_projections_are_orthogonal_one_by_one() -> None:
    torch.manual_seed(0)
    packed = nn.Parameter(torch.zeros(96, 32))
    packed.grad = torch.cat([torch.randn(32, 32) * size for size in (1, 10, 100)])
    group = {"params": [packed], "lr": 1.0, "weight_decay": 0.0, "muon": True}
    MuonAdamW([group], fused=False).step()
    norms = torch.stack([part.norm() for part in packed.detach().chunk(3)])
    torch.testing.assert_close(norms, norms[:1].expand(3), rtol=0.1, atol=0)


def test_state_is_restored_by_name() -> None:
    model = fast_model()
    optimizer = build_optimizer(model, model.config, lr=1e-3)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    state = state_by_name(optimizer, model)
    restored = build_optimizer(model, model.config, lr=1e-3)
    load_state_by_name(restored, model, state)
    found = state_by_name(restored, model)
    assert found.keys() == state.keys()
    name = "decoder.layers.0.linear1.weight"
    assert torch.equal(found[name]["momentum"], state[name]["momentum"])
