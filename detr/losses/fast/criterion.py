"""All losses of `FastDETR`.

Each is a sum over a batch, divided by a normaliser that is known before the forward pass. The
losses and gradients of the batches and processes of a step therefore add up to those of the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from detr.config import TrainConfig
from detr.data.boxes import giou_pairs, iou_pairs
from detr.losses.criterion import Losses, matched_queries
from detr.losses.fast.masks import FINE, decoder_masks, dense_masks, pool_pixels
from detr.losses.fast.matching import PLACES, match_places, match_things
from detr.losses.fast.targets import FastTarget
from detr.losses.fast.terms import matching_aware_loss, semantic_loss
from detr.losses.matcher import Match
from detr.model.fast.masks import PIXEL
from detr.model.fast.output import DenseOutput, FastOutput


@dataclass(frozen=True)
class _Matched:
    """K matches of things with queries or locations: all (K,), except the boxes (K, 4)."""

    layer: Tensor
    photo: Tensor
    query: Tensor
    label: Tensor
    cxcywh_norm: Tensor


def fast_losses(
    output: FastOutput, targets: Sequence[FastTarget], totals: Tensor, config: TrainConfig
) -> Losses:
    """Return the weighted losses by name.

    They are `loss_ce`, `loss_bbox`, ... of the last decoder layer, `loss_ce_0`, ... of earlier
    layers, `loss_ce_dense`, ... of the dense head, and `loss_semantic`. `totals` (4,) are the
    normalisers of `count_targets` for the whole step, of which this batch may be a part.
    """
    things, segments, presence, places = totals.clamp(min=1).tolist()
    losses: Losses = {}
    coarse = pool_pixels(output)
    if output.dense is not None:
        losses |= _dense_losses(output.dense, coarse, targets, things, config)
    each = _layer_losses(output, coarse, targets, things, segments, presence, config)
    last = len(output.layers) - 1
    for index in range(last if not config.aux_loss else 0, last + 1):
        suffix = "" if index == last else f"_{index}"
        losses |= {f"{name}{suffix}": values[index] for name, values in each.items()}
    if output.semantic:
        losses["loss_semantic"] = config.semantic_loss_coef * _semantic(output, targets) / places
    return losses


def _dense_losses(
    dense: DenseOutput,
    coarse: Sequence[Tensor],
    targets: Sequence[FastTarget],
    things: float,
    config: TrainConfig,
) -> Losses:
    """Return class, box and mask losses of the dense head, with `PLACES` locations per thing."""
    matches = match_places(dense, targets, config)
    counted = torch.stack(
        [_is_known(dense.centres_norm[i], target) for i, target in enumerate(targets)]
    )
    counted &= ~dense.padding_mask
    matched = _matched_things([matches], targets)
    boxes, embeddings = dense.learn_at(matched.photo, matched.query)
    losses = _thing_losses(dense.logits[None], boxes, matched, counted[None], config)
    masks = dense_masks(embeddings, boxes.detach(), matches, coarse, targets)  # (2,)
    losses |= _weighted_masks(masks[:, None], config)
    return {f"{name}_dense": value[0] / (PLACES * things) for name, value in losses.items()}


def _is_known(centres_norm: Tensor, target: FastTarget) -> Tensor:
    """Return (P,) bool, whether locations with centres (P, 2) x, y lie on a segment."""
    known = target.at[FINE].known
    height, width = target.size
    columns, rows = (centres_norm * centres_norm.new_tensor([width, height])).div(FINE).long().T
    return known[rows.clamp(max=known.shape[0] - 1), columns.clamp(max=known.shape[1] - 1)] >= 0.5


def _layer_losses(
    output: FastOutput,
    coarse: Sequence[Tensor],
    targets: Sequence[FastTarget],
    things: float,
    segments: float,
    presence: float,
    config: TrainConfig,
) -> Losses:
    """Return the (L,) losses of all decoder layers."""
    matching = match_things(output, coarse, targets, config)
    matched = _matched_things(matching.matches, targets)
    logits = torch.stack([layer.logits for layer in output.layers])
    boxes = torch.stack([layer.cxcywh_norm for layer in output.layers])
    boxes = boxes[matched.layer, matched.photo, matched.query]  # (K, 4)
    losses = _thing_losses(logits, boxes, matched, ~matching.ignored, config)
    losses = {name: value / things for name, value in losses.items()}
    masks = decoder_masks(output, coarse, targets, matching.matches) / segments  # (2, L)
    losses |= _weighted_masks(masks, config)
    losses["loss_presence"] = _presence(output, targets) / presence
    return losses


def _thing_losses(
    logits: Tensor,
    cxcywh_norm: Tensor,
    matched: _Matched,
    counted: Tensor,
    config: TrainConfig,
) -> Losses:
    """Return (L,) sums over logits (L, B, Q, things) and the boxes (K, 4) of matched queries.

    `counted` (L, B, Q) marks the queries whose unmatched classes are trained as negatives.
    """
    at = (matched.layer, matched.photo, matched.query, matched.label)
    quality = torch.full_like(logits, -1)
    quality[at] = iou_pairs(cxcywh_norm.detach(), matched.cxcywh_norm)
    l1, giou = cxcywh_norm.new_zeros(2, len(logits))
    l1 = l1.index_add(0, matched.layer, (cxcywh_norm - matched.cxcywh_norm).abs().sum(1))
    giou = giou.index_add(0, matched.layer, 1 - giou_pairs(cxcywh_norm, matched.cxcywh_norm))
    return {
        "loss_ce": matching_aware_loss(logits, quality, counted),
        "loss_bbox": config.bbox_loss_coef * l1,
        "loss_giou": config.giou_loss_coef * giou,
    }


def _matched_things(layers: list[list[Match]], targets: Sequence[FastTarget]) -> _Matched:
    """Concatenate the matches of all layers and photos."""
    queries = [matched_queries(matches) for matches in layers]
    counts = torch.tensor([len(query) for _, query in queries])
    device = queries[0][0].device
    pairs = [pair for matches in layers for pair in zip(targets, matches, strict=True)]
    return _Matched(
        torch.arange(len(layers)).repeat_interleave(counts).to(device),
        torch.cat([photo for photo, _ in queries]),
        torch.cat([query for _, query in queries]),
        torch.cat([target.things[match.segments] for target, match in pairs]),
        torch.cat([target.cxcywh_norm[match.segments] for target, match in pairs]),
    )


def _weighted_masks(masks: Tensor, config: TrainConfig) -> Losses:
    """Weight and name the two rows of (2, L) mask losses."""
    entropy, dice = masks
    return {"loss_mask": config.mask_loss_coef * entropy, "loss_dice": config.dice_loss_coef * dice}


def _presence(output: FastOutput, targets: Sequence[FastTarget]) -> Tensor:
    """Return (L,) sums of the weighted cross entropy of the presence of stuff."""
    logits = torch.stack([layer.presence for layer in output.layers])  # (L, B, stuff)
    wanted = torch.stack([target.presence for target in targets]).expand_as(logits)
    weight = torch.stack([target.presence_weight for target in targets])
    each = F.binary_cross_entropy_with_logits(logits, wanted, weight, reduction="none")
    return each.flatten(1).sum(1)


def _semantic(output: FastOutput, targets: Sequence[FastTarget]) -> Tensor:
    """Return the sum of the cross entropy of classes over known pixels at stride 4."""
    things = output.layers[0].logits.shape[2]
    return torch.stack(
        [
            semantic_loss(
                logits.float(),
                torch.cat([target.things, things + target.stuff]),
                target.at[PIXEL].masks,
            )
            for logits, target in zip(output.semantic, targets, strict=True)
        ]
    ).sum()
