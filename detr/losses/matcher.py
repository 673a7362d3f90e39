"""The matching: which query answers for which segment, at least cost."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from detr.config import TrainConfig
from detr.data.boxes import giou_matrix
from detr.data.examples import Target
from detr.model.detr import Guess

Match = tuple[Tensor, Tensor]  # queries (M,), segments (M,)


def match(guess: Guess, targets: list[Target], config: TrainConfig) -> list[Match]:
    """Match every photo's queries to its segments, one to one; M = min(queries, segments)."""
    return match_layers([guess], targets, config)[0]


@torch.no_grad()
def match_layers(
    guesses: Sequence[Guess], targets: list[Target], config: TrainConfig
) -> list[list[Match]]:
    """Match every layer's guesses for itself; one array of costs, brought to the CPU once.

    Each photo's queries are compared with its own segments only.
    """
    logits = torch.stack([guess.logits for guess in guesses])  # (L, B, Q, classes + 1)
    boxes = torch.stack([guess.cxcywh_norm for guess in guesses])  # (L, B, Q, 4)
    layers, _, queries, _ = logits.shape
    costs = [
        match_cost(
            logits[:, photo].flatten(0, 1),
            boxes[:, photo].flatten(0, 1),
            target.labels,
            target.cxcywh_norm,
            config,
        ).view(layers, queries, len(target.labels))
        for photo, target in enumerate(targets)
    ]
    together = torch.cat([cost.flatten() for cost in costs]).cpu()
    parts = torch.split(together, [cost.numel() for cost in costs])
    photos = [part.view(cost.shape) for part, cost in zip(parts, costs, strict=True)]
    return [[assign(cost[layer], logits.device) for cost in photos] for layer in range(layers)]


def match_cost(
    logits: Tensor, cxcywh_norm: Tensor, labels: Tensor, wanted_norm: Tensor, config: TrainConfig
) -> Tensor:
    """(Q, N) cost of each of Q guesses for each of N segments."""
    cost_class = -logits.softmax(-1)[:, labels]
    cost_bbox = torch.cdist(cxcywh_norm, wanted_norm, p=1)
    cost_giou = -giou_matrix(cxcywh_norm, wanted_norm)
    return (
        config.set_cost_class * cost_class
        + config.set_cost_bbox * cost_bbox
        + config.set_cost_giou * cost_giou
    )


def assign(cost: Tensor, device: torch.device) -> Match:
    """Least total cost; what is no number costs most, so that the loss reports it, not scipy."""
    finite = cost.nan_to_num(nan=1e9, posinf=1e9, neginf=-1e9)
    queries, segments = linear_sum_assignment(finite.numpy())
    return torch.as_tensor(queries, device=device), torch.as_tensor(segments, device=device)
