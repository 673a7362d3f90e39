"""Bipartite matching of queries to segments at the lowest total cost (the Hungarian algorithm)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from detr.config import TrainConfig
from detr.data.boxes import giou_matrix
from detr.data.targets import Target
from detr.model.detr import LayerOutput


@dataclass(frozen=True)
class Match:
    """The matched queries of one photo and their segments, as indices (M,)."""

    queries: Tensor
    segments: Tensor


def match(output: LayerOutput, targets: list[Target], config: TrainConfig) -> list[Match]:
    """Match the queries of every photo to its segments, one to one; M = min(queries, segments)."""
    return match_layers([output], targets, config)[0]


@torch.no_grad()
def match_layers(
    layers: Sequence[LayerOutput], targets: list[Target], config: TrainConfig
) -> list[list[Match]]:
    """Match the predictions of each layer separately.

    The queries of a photo are compared only with its own segments.
    """
    logits = torch.stack([layer.logits for layer in layers])  # (L, B, Q, classes + 1)
    boxes = torch.stack([layer.cxcywh_norm for layer in layers])  # (L, B, Q, 4)
    count, _, queries, _ = logits.shape
    costs = [
        match_cost(
            logits[:, photo].flatten(0, 1),
            boxes[:, photo].flatten(0, 1),
            target.labels,
            target.cxcywh_norm,
            config,
        ).view(count, queries, len(target.labels))
        for photo, target in enumerate(targets)
    ]
    return assign_layers(costs)


def match_cost(
    logits: Tensor,
    cxcywh_norm: Tensor,
    labels: Tensor,
    target_cxcywh_norm: Tensor,
    config: TrainConfig,
) -> Tensor:
    """Return the cost (Q, N) of matching each of Q predictions to each of N segments.

    Args:
        logits: (Q, classes + 1).
        cxcywh_norm: (Q, 4).
        labels: (N,).
        target_cxcywh_norm: (N, 4).
        config: provides the weights of the three costs.
    """
    cost_class = -logits.softmax(-1)[:, labels]
    cost_bbox = torch.cdist(cxcywh_norm, target_cxcywh_norm, p=1)
    cost_giou = -giou_matrix(cxcywh_norm, target_cxcywh_norm)
    return (
        config.set_cost_class * cost_class
        + config.set_cost_bbox * cost_bbox
        + config.set_cost_giou * cost_giou
    )


def assign_layers(costs: Sequence[Tensor]) -> list[list[Match]]:
    """Assign every layer of each photo by costs (L, Q, N), which go to the CPU in one transfer."""
    on_cpu = torch.cat([cost.flatten() for cost in costs]).cpu()
    parts = torch.split(on_cpu, [cost.numel() for cost in costs])
    photos = [part.view(cost.shape) for part, cost in zip(parts, costs, strict=True)]
    device = costs[0].device
    return [[_assign(cost[layer], device) for cost in photos] for layer in range(len(photos[0]))]


def _assign(cost: Tensor, device: torch.device) -> Match:
    """Assign queries to segments at the lowest total cost.

    NaN, which scipy rejects, gets a high cost; training then reports that the loss is NaN.
    """
    finite = cost.nan_to_num(nan=1e9, posinf=1e9, neginf=-1e9)
    queries, segments = linear_sum_assignment(finite.numpy())
    return Match(torch.as_tensor(queries, device=device), torch.as_tensor(segments, device=device))
