"""Matching: which query answers for which thing, and which places do in the dense head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from detr.config import TrainConfig
from detr.data.boxes import giou_matrix
from detr.losses.fast.targets import FastTarget
from detr.losses.matcher import Match, assign_layers
from detr.model.fast.masks import mask_logits
from detr.model.fast.output import DenseOutput, FastOutput

COARSE = 8  # stride at which masks are compared
PLACES = 4  # that answer for each thing in the dense head
FAR = 100.0  # cost of a place outside of the thing's box
NEVER = 1e6  # cost of padding


@dataclass(frozen=True)
class Matching:
    """What each of L layers answers for.

    `ignored` marks queries without a thing that are neither right nor wrong: padding, and those
    whose masks lie in void or crowds by more than half. Panoptic quality ignores such segments, too
    (Kirillov et al., CVPR 2019).
    """

    matches: list[list[Match]]  # of each layer and photo; segments are things
    ignored: Tensor  # (L, B, Q) bool


@torch.no_grad()
def match_things(
    output: FastOutput, pixels: Sequence[Tensor], targets: Sequence[FastTarget], config: TrainConfig
) -> Matching:
    """Match the thing queries of each layer by class, box and mask; `pixels` are of stride 8."""
    logits = torch.stack([layer.logits for layer in output.layers])  # (L, B, Q, things)
    boxes = torch.stack([layer.cxcywh_norm for layer in output.layers])
    masks = torch.stack([layer.mask_embeddings for layer in output.layers])
    layers = len(logits)
    ignored = torch.ones(logits.shape[:3], dtype=torch.bool, device=logits.device)
    costs = []
    for photo, target in enumerate(targets):
        count = output.num_queries[photo]
        own = slice(0, count)
        own_boxes = boxes[:, photo, own].flatten(0, 1)  # (L count, 4)
        drawn = mask_logits(
            masks[:, photo, own].flatten(0, 1),
            pixels[photo],
            cxcywh_norm=own_boxes,
            size=target.size,
            stride=COARSE,
        ).flatten(1)  # (L count, P)
        cost = _box_cost(logits[:, photo, own].flatten(0, 1), own_boxes, target, config)
        cost += config.set_cost_mask * _mask_cost(drawn, target)
        costs.append(cost.view(layers, count, len(target.things)))
        ignored[:, photo, own] = _in_void(drawn, target).view(layers, count)
    return Matching(assign_layers(costs), ignored)


@torch.no_grad()
def match_places(
    dense: DenseOutput, targets: Sequence[FastTarget], config: TrainConfig
) -> list[Match]:
    """Choose the cheapest places for each thing, preferably within its box.

    A place that several things choose answers for the one that it is cheapest for.
    """
    found = []
    for photo, target in enumerate(targets):
        cost = _box_cost(dense.logits[photo], dense.cxcywh_norm[photo], target, config)  # (P, N)
        away = (dense.centres_norm[photo][:, None] - target.cxcywh_norm[:, :2]).abs()
        cost += FAR * (away > target.cxcywh_norm[:, 2:] / 2).any(-1)
        padding = dense.padding_mask[photo]
        cost.masked_fill_(padding[:, None], NEVER)
        chosen = torch.zeros_like(cost, dtype=torch.bool)
        cheapest = cost.topk(min(PLACES, len(cost)), 0, largest=False).indices
        chosen.scatter_(0, cheapest, True).logical_and_(~padding[:, None])
        places = chosen.any(1).nonzero()[:, 0]
        things = cost[places].masked_fill(~chosen[places], torch.inf)
        empty = not len(target.things)
        found.append(Match(places, places if empty else things.argmin(1)))
    return found


def _box_cost(
    logits: Tensor, cxcywh_norm: Tensor, target: FastTarget, config: TrainConfig
) -> Tensor:
    """(Q, N) cost of class and box; the class by focal loss, as in Deformable DETR."""
    chance = logits.sigmoid()
    as_thing = -0.25 * (1 - chance).square() * F.logsigmoid(logits)
    as_nothing = -0.75 * chance.square() * F.logsigmoid(-logits)
    cost = config.set_cost_class * (as_thing - as_nothing)[:, target.things]
    cost += config.set_cost_bbox * torch.cdist(cxcywh_norm, target.cxcywh_norm, p=1)
    return cost - config.set_cost_giou * giou_matrix(cxcywh_norm, target.cxcywh_norm)


def _mask_cost(logits: Tensor, target: FastTarget) -> Tensor:
    """(Q, N) cross entropy and dice loss of mask logits (Q, P) for each thing."""
    shares = target.at[COARSE]
    wanted, known = shares.masks[: len(target.things)].flatten(1), shares.known.flatten()
    chance, seen = logits.sigmoid(), known.sum()
    entropy = ((F.softplus(logits) @ known)[:, None] - logits @ wanted.T) / seen.clamp(min=1)
    overlap = 2 * chance @ wanted.T + 1
    return entropy + 1 - overlap / ((chance @ known)[:, None] + wanted.sum(1) + 1)


def _in_void(logits: Tensor, target: FastTarget) -> Tensor:
    """(Q,) bool, whether more than half of each mask (Q, P) is unknown within the photo."""
    if not target.has_void:
        return torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    shares, chance = target.at[COARSE], logits.sigmoid()
    void, known = chance @ shares.void.flatten(), chance @ shares.known.flatten()
    return void > known
