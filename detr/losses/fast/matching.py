"""Matching of things with decoder queries, and with locations of the dense head."""

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
PLACES = 4  # locations matched to each thing in the dense head
FAR = 100.0  # additional cost of a location outside the thing's box
NEVER = 1e6  # cost of padding


@dataclass(frozen=True)
class Matching:
    """The matches of L decoder layers.

    `ignored` marks queries that are not trained as negatives: padding, and those whose masks lie
    mostly in void or crowds. Panoptic quality ignores such segments, too (Kirillov et al., CVPR
    2019).
    """

    matches: list[list[Match]]  # by layer and photo; segment indices count things only
    ignored: Tensor  # (L, B, Q) bool


@torch.no_grad()
def match_things(
    output: FastOutput, pixels: Sequence[Tensor], targets: Sequence[FastTarget], config: TrainConfig
) -> Matching:
    """Match the thing queries of each layer by class, box and mask; `pixels` have stride 8."""
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
        mask = mask_logits(
            masks[:, photo, own].flatten(0, 1),
            pixels[photo],
            cxcywh_norm=own_boxes,
            size=target.size,
            stride=COARSE,
        ).flatten(1)  # (L count, P)
        cost = _box_cost(logits[:, photo, own].flatten(0, 1), own_boxes, target, config)
        cost += config.set_cost_mask * _mask_cost(mask, target)
        costs.append(cost.view(layers, count, len(target.things)))
        ignored[:, photo, own] = _in_void(mask, target).view(layers, count)
    return Matching(assign_layers(costs), ignored)


@torch.no_grad()
def match_places(
    dense: DenseOutput, targets: Sequence[FastTarget], config: TrainConfig
) -> list[Match]:
    """Match each thing with the locations of lowest cost, preferably within its box.

    A location selected for several things is matched to the one with the lowest cost.
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
    """Return the (Q, N) cost of class (focal loss, as in Deformable DETR) and box."""
    probability = logits.sigmoid()
    positive = -0.25 * (1 - probability).square() * F.logsigmoid(logits)
    negative = -0.75 * probability.square() * F.logsigmoid(-logits)
    cost = config.set_cost_class * (positive - negative)[:, target.things]
    cost += config.set_cost_bbox * torch.cdist(cxcywh_norm, target.cxcywh_norm, p=1)
    return cost - config.set_cost_giou * giou_matrix(cxcywh_norm, target.cxcywh_norm)


def _mask_cost(logits: Tensor, target: FastTarget) -> Tensor:
    """Return (Q, N) cross entropy plus dice loss of mask logits (Q, P) for each thing."""
    shares = target.at[COARSE]
    wanted, known = shares.masks[: len(target.things)].flatten(1), shares.known.flatten()
    probability, area = logits.sigmoid(), known.sum()
    entropy = ((F.softplus(logits) @ known)[:, None] - logits @ wanted.T) / area.clamp(min=1)
    overlap = 2 * probability @ wanted.T + 1
    return entropy + 1 - overlap / ((probability @ known)[:, None] + wanted.sum(1) + 1)


def _in_void(logits: Tensor, target: FastTarget) -> Tensor:
    """Return (Q,) bool, whether each mask (Q, P) covers more unknown than known pixels.

    Pixels outside the photo count as neither.
    """
    if not target.has_void:
        return torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    shares, probability = target.at[COARSE], logits.sigmoid()
    void = probability @ shares.void.flatten()
    known = probability @ shares.known.flatten()
    return void > known
