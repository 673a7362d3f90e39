"""The losses: matched queries are trained on class, box and mask, all others on no-object.

As published with DETR, but computed for all decoder layers together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from detr.config import TrainConfig
from detr.data.boxes import giou_pairs
from detr.data.targets import Target
from detr.losses.mask_losses import focal_and_dice
from detr.losses.matcher import Match, match_layers
from detr.model.detr import LayerOutput, Output

MASK_LOSSES = ("loss_mask", "loss_dice")
Losses = dict[str, Tensor]  # by published name; all are weighted except the two `..._error`


def box_losses(
    output: Output, targets: list[Target], matches: list[Match], config: TrainConfig
) -> Losses:
    """Return the losses of the last decoder layer and, as `loss_ce_0`, ..., of the earlier layers.

    `matches` are those of the last layer; each earlier layer is matched separately.
    """
    *earlier, last = output.layers
    earlier = earlier if config.aux_loss else []
    earlier_matches = match_layers(earlier, targets, config) if earlier else []
    by_layer = layer_losses([*earlier, last], targets, [*earlier_matches, matches], config)
    losses = {name: values[-1] for name, values in by_layer.items()}
    for index in range(len(earlier)):
        losses |= {f"{name}_{index}": values[index] for name, values in by_layer.items()}
    return losses | prediction_errors(last, targets, matches)


def layer_losses(
    layers: Sequence[LayerOutput],
    targets: list[Target],
    layer_matches: list[list[Match]],
    config: TrainConfig,
) -> Losses:
    """Return the classification, L1 and GIoU losses (L,) of L decoder layers.

    Each layer has its own matches, but all layers have the same number, so they fit into one array.
    """
    indices = [matched_queries(matches) for matches in layer_matches]
    photo, query = (torch.stack(parts) for parts in zip(*indices, strict=True))  # (L, K)
    layer = torch.arange(len(layers), device=photo.device)[:, None]
    matched = [_matched_targets(targets, matches) for matches in layer_matches]
    labels, boxes = (torch.stack(parts) for parts in zip(*matched, strict=True))
    logits = torch.stack([output.logits for output in layers])  # (L, B, Q, classes + 1)
    predicted = torch.stack([output.cxcywh_norm for output in layers])  # (L, B, Q, 4)
    predicted = predicted[layer, photo, query]  # (L, K, 4)
    count = num_boxes(targets)
    l1 = (predicted - boxes).abs().sum((1, 2)) / count
    giou = (1 - giou_pairs(predicted, boxes)).sum(1) / count
    no_object = logits.shape[-1] - 1
    classes = torch.full(logits.shape[:3], no_object, device=logits.device)  # (L, B, Q)
    classes[layer, photo, query] = labels
    return {
        "loss_ce": _classification_loss(logits, classes, config.eos_coef),
        "loss_bbox": config.bbox_loss_coef * l1,
        "loss_giou": config.giou_loss_coef * giou,
    }


def _matched_targets(targets: list[Target], matches: list[Match]) -> tuple[Tensor, Tensor]:
    """Return labels (K,) and boxes (K, 4) of the matched segments."""
    pairs = list(zip(targets, matches, strict=True))
    labels = torch.cat([target.labels[match.segments] for target, match in pairs])
    return labels, torch.cat([target.cxcywh_norm[match.segments] for target, match in pairs])


def _classification_loss(logits: Tensor, classes: Tensor, eos_coef: float) -> Tensor:
    """Return the weighted mean cross entropy (L,) over all queries.

    Logits (L, B, Q, classes + 1), classes (L, B, Q); no-object, the last class, has the weight
    `eos_coef`, all others 1.
    """
    weights = torch.ones(logits.shape[-1], device=logits.device)
    weights[-1] = eos_coef
    weighted = F.cross_entropy(
        logits.flatten(0, 2), classes.flatten(), weights, reduction="none"
    ).view(len(logits), -1)  # (L, B * Q)
    return weighted.sum(1) / weights[classes].flatten(1).sum(1)


@torch.no_grad()
def prediction_errors(output: LayerOutput, targets: list[Target], matches: list[Match]) -> Losses:
    """Return the errors that are logged in addition to the losses, under their published names.

    `class_error` is the percentage of matched queries with a wrong class, `cardinality_error` the
    mean absolute difference between the numbers of predicted and actual segments.
    """
    photo, query = matched_queries(matches)
    labels, _ = _matched_targets(targets, matches)
    correct = output.logits[photo, query].argmax(-1) == labels
    predicted = (output.logits.argmax(-1) != output.logits.shape[-1] - 1).sum(1)  # (B,)
    actual = torch.tensor([len(t.labels) for t in targets], device=predicted.device)
    share = correct.float().mean() if len(correct) else torch.ones((), device=predicted.device)
    return {
        "class_error": 100 - 100 * share,
        "cardinality_error": (predicted - actual).abs().float().mean(),
    }


def mask_losses(
    logits: Tensor, masks: Tensor, count: int, config: TrainConfig
) -> tuple[Tensor, Losses]:
    """Compute the focal and dice losses of mask logits (K, h, w), upsampled to masks (K, H, W).

    `count` is the number of segments in the whole batch, so that the losses of its parts add up.

    Returns the sum of both, which has a gradient, and both by name, without gradients.
    """
    if not len(masks):
        zero = logits.sum()  # 0, but with a gradient, so that backward works without segments
        return zero, {name: zero.detach() for name in MASK_LOSSES}
    weights = (config.mask_loss_coef / count, config.dice_loss_coef / count)
    total, *losses = focal_and_dice(logits, masks, weights=weights)
    weighted = zip(MASK_LOSSES, weights, losses, strict=True)
    return total.sum(), {name: weight * loss.sum() for name, weight, loss in weighted}


def matched_queries(matches: list[Match]) -> tuple[Tensor, Tensor]:
    """Return the photo indices (K,) and query indices (K,) of all matches in a batch."""
    photo = torch.cat([torch.full_like(m.queries, i) for i, m in enumerate(matches)])
    return photo, torch.cat([m.queries for m in matches])


def num_boxes(targets: list[Target]) -> int:
    """Return the number of segments in a batch, at least 1, by which losses are divided."""
    return max(1, sum(len(t.labels) for t in targets))


def stack_masks(targets: list[Target], matches: list[Match]) -> Tensor:
    """Return masks (K, H, W) bool of the matched segments, padded to the size of the batch."""
    height = max(t.size[0] for t in targets)
    width = max(t.size[1] for t in targets)
    padded = [
        F.pad(t.masks[m.segments], (0, width - t.size[1], 0, height - t.size[0]))
        for t, m in zip(targets, matches, strict=True)
    ]
    return torch.cat(padded)
