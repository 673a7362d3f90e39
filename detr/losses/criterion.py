"""The losses: matched queries learn class, box and mask; the others learn no-object."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from detr.config import TrainConfig
from detr.data.boxes import giou_pairs
from detr.data.examples import Target
from detr.losses.mask_losses import focal_and_dice
from detr.losses.matcher import Match, match_layers
from detr.model.detr import Guess, Output

MASK_LOSSES = ("loss_mask", "loss_dice")
Losses = dict[str, Tensor]  # by published name, weighted; class_error and cardinality_error are not


def box_losses(
    output: Output, targets: list[Target], matches: list[Match], config: TrainConfig
) -> Losses:
    """Losses of the last decoder layer and, as `loss_ce_0` ..., of those before it.

    `matches` are the last layer's; each earlier layer is matched for itself.
    """
    *earlier, last = output.guesses
    earlier = earlier if config.aux_loss else []
    layers = match_layers(earlier, targets, config) if earlier else []
    each = layer_losses([*earlier, last], targets, [*layers, matches], config)
    losses = {name: values[-1] for name, values in each.items()}
    for index in range(len(earlier)):
        losses |= {f"{name}_{index}": values[index] for name, values in each.items()}
    return losses | guess_errors(last, targets, matches)


def layer_losses(
    guesses: Sequence[Guess],
    targets: list[Target],
    layers: list[list[Match]],
    config: TrainConfig,
) -> Losses:
    """Classification, L1 and GIoU loss (L,) of L decoder layers, each with its own matches.

    A photo has as many matches in every layer, so all layers go through together.
    """
    chosen = [matched_queries(matches) for matches in layers]
    photo, query = (torch.stack(indices) for indices in zip(*chosen, strict=True))  # (L, K)
    layer = torch.arange(len(layers), device=photo.device)[:, None]
    wanted = [_wanted(targets, matches) for matches in layers]
    labels, boxes = (torch.stack(parts) for parts in zip(*wanted, strict=True))
    logits = torch.stack([guess.logits for guess in guesses])  # (L, B, Q, classes + 1)
    found = torch.stack([guess.cxcywh_norm for guess in guesses])[layer, photo, query]  # (L, K, 4)
    count = num_boxes(targets)
    l1 = (found - boxes).abs().sum((1, 2)) / count
    giou = (1 - giou_pairs(found, boxes)).sum(1) / count
    no_object = logits.shape[-1] - 1
    classes = torch.full(logits.shape[:3], no_object, device=logits.device)  # (L, B, Q)
    classes[layer, photo, query] = labels
    return {
        "loss_ce": _classification(logits, classes, config.eos_coef),
        "loss_bbox": config.bbox_loss_coef * l1,
        "loss_giou": config.giou_loss_coef * giou,
    }


def _wanted(targets: list[Target], matches: list[Match]) -> tuple[Tensor, Tensor]:
    """Labels (K,) and boxes (K, 4) of the matched segments."""
    pairs = list(zip(targets, matches, strict=True))
    labels = torch.cat([target.labels[segments] for target, (_, segments) in pairs])
    return labels, torch.cat([target.cxcywh_norm[segments] for target, (_, segments) in pairs])


def _classification(logits: Tensor, classes: Tensor, eos_coef: float) -> Tensor:
    """Weighted mean (L,) of cross entropy over all queries; no-object, the last class, weighs less.

    Logits (L, B, Q, classes + 1), classes (L, B, Q).
    """
    weights = torch.ones(logits.shape[-1], device=logits.device)
    weights[-1] = eos_coef
    each = F.cross_entropy(logits.flatten(0, 2), classes.flatten(), weights, reduction="none").view(
        len(logits), -1
    )  # already weighted
    return each.sum(1) / weights[classes].flatten(1).sum(1)


@torch.no_grad()
def guess_errors(guess: Guess, targets: list[Target], matches: list[Match]) -> Losses:
    """Not losses: matched queries of a wrong class in percent, and by how many counts are off."""
    photo, query = matched_queries(matches)
    labels, _ = _wanted(targets, matches)
    right = guess.logits[photo, query].argmax(-1) == labels
    counted = (guess.logits.argmax(-1) != guess.logits.shape[-1] - 1).sum(1)  # (B,)
    wanted = torch.tensor([len(t.labels) for t in targets], device=counted.device)
    share = right.float().mean() if len(right) else torch.ones((), device=counted.device)
    return {
        "class_error": 100 - 100 * share,
        "cardinality_error": (counted - wanted).abs().float().mean(),
    }


def mask_losses(
    logits: Tensor, wanted: Tensor, count: int, config: TrainConfig
) -> tuple[Tensor, Losses]:
    """Focal and dice loss of mask logits (K, h, w) at the size of the `wanted` masks (K, H, W).

    Their sum, which has a gradient, and each by name, which have none. `count` is the number of
    segments in the whole batch: parts of it add up.
    """
    if not len(wanted):
        zero = logits.sum()  # of nothing, but with a gradient: an empty batch is a step too
        return zero, {name: zero.detach() for name in MASK_LOSSES}
    weights = (config.mask_loss_coef / count, config.dice_loss_coef / count)
    both, *each = focal_and_dice(logits, wanted, weights=weights)
    pairs = zip(MASK_LOSSES, weights, each, strict=True)
    return both.sum(), {name: weight * loss.sum() for name, weight, loss in pairs}


def matched_queries(matches: list[Match]) -> tuple[Tensor, Tensor]:
    """Photo index (K,) and query index (K,) of all matches of a batch."""
    photo = torch.cat([torch.full_like(queries, i) for i, (queries, _) in enumerate(matches)])
    return photo, torch.cat([queries for queries, _ in matches])


def num_boxes(targets: list[Target]) -> int:
    """Segments in the batch; at least 1, since losses are divided by it."""
    return max(1, sum(len(t.labels) for t in targets))


def stack_masks(targets: list[Target], matches: list[Match]) -> Tensor:
    """(K, H, W) bool masks of the matched segments, at the size of the padded batch."""
    height = max(t.size[0] for t in targets)
    width = max(t.size[1] for t in targets)
    padded = [
        F.pad(t.masks[m], (0, width - t.size[1], 0, height - t.size[0]))
        for t, (_, m) in zip(targets, matches, strict=True)
    ]
    return torch.cat(padded)
