"""The matching: which query answers for which segment, at least cost."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from detr.boxes import giou_matrix
from detr.config import TrainConfig
from detr.data import Target
from detr.model import Guess

Match = tuple[Tensor, Tensor]  # queries (M,), segments (M,)


@torch.no_grad()
def match(guess: Guess, targets: list[Target], config: TrainConfig) -> list[Match]:
    """Match every photo's queries to its segments, one to one; M = min(queries, segments)."""
    batch, queries = guess.logits.shape[:2]
    counts = [len(target.labels) for target in targets]
    cost = match_cost(
        guess.logits.flatten(0, 1),
        guess.cxcywh_norm.flatten(0, 1),
        torch.cat([target.labels for target in targets]),
        torch.cat([target.cxcywh_norm for target in targets]),
        config,
    ).view(batch, queries, -1)  # (B, Q, all N); each photo then keeps its own segments
    parts = torch.split(cost.cpu(), counts, dim=2)
    return [_assign(part[i], cost.device) for i, part in enumerate(parts)]


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


def _assign(cost: Tensor, device: torch.device) -> Match:
    """Least total cost; what is no number costs most, so that the loss reports it, not scipy."""
    finite = cost.nan_to_num(nan=1e9, posinf=1e9, neginf=-1e9)
    queries, segments = linear_sum_assignment(finite.numpy())
    return torch.as_tensor(queries, device=device), torch.as_tensor(segments, device=device)
