"""Mask losses of matched queries and locations; unmatched masks are not computed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from detr.losses.fast.matching import COARSE
from detr.losses.fast.targets import FastTarget
from detr.losses.fast.terms import entropy_and_dice
from detr.losses.matcher import Match
from detr.model.fast.masks import PIXEL, mask_logits
from detr.model.fast.output import FastOutput

FINE = 2  # stride at which the masks of the last layer are compared


def pool_pixels(output: FastOutput) -> list[Tensor]:
    """Average the pixel embeddings of each photo to stride 8."""
    return [F.avg_pool2d(pixels[None], COARSE // PIXEL)[0] for pixels in output.pixels]


def decoder_masks(
    output: FastOutput,
    coarse: Sequence[Tensor],
    targets: Sequence[FastTarget],
    layers: list[list[Match]],
) -> Tensor:
    """Return (2, L) sums of cross entropy and dice loss of all things and stuff present.

    The last layer is compared at stride 2, earlier layers at stride 8 with `coarse` embeddings.
    """
    # unbound once, because each indexing of a photo would allocate a gradient of the batch
    embeddings = torch.stack([x.mask_embeddings for x in output.layers], 1).unbind()
    boxes = torch.stack([x.cxcywh_norm.detach() for x in output.layers], 1)  # (B, L, Q + stuff, 4)
    total = boxes.new_zeros(2, len(layers))
    for photo, target in enumerate(targets):
        layer, query, row = _matched_masks([layer[photo] for layer in layers], target, output)
        own, own_boxes = embeddings[photo][layer, query], boxes[photo, layer, query]  # (K, ...)
        last = len(layers[-1][photo].queries) + len(target.stuff)
        split = [len(row) - last, last]
        (own, final), (own_boxes, final_boxes), (row, final_row) = (
            torch.split(x, split) for x in (own, own_boxes, row)
        )
        earlier = _compare(own, own_boxes, coarse[photo], row, target, stride=COARSE)
        latest = _compare(final, final_boxes, output.pixels[photo], final_row, target, stride=FINE)
        total = total.index_add(1, layer, torch.cat([earlier, latest], 1))
    return total


def dense_masks(
    embeddings: Tensor,
    cxcywh_norm: Tensor,
    matches: Sequence[Match],
    coarse: Sequence[Tensor],
    targets: Sequence[FastTarget],
) -> Tensor:
    """Return (2,) sums for K matched locations with embeddings (K, E + 1) and boxes (K, 4)."""
    counts = [len(match.queries) for match in matches]
    parts = zip(torch.split(embeddings, counts), torch.split(cxcywh_norm, counts), strict=True)
    each = [
        _compare(*part, coarse[photo], matches[photo].segments, targets[photo], stride=COARSE)
        for photo, part in enumerate(parts)
    ]
    return torch.cat(each, 1).sum(1)


def _matched_masks(
    layers: Sequence[Match], target: FastTarget, output: FastOutput
) -> tuple[Tensor, Tensor, Tensor]:
    """Return layer, query and row of the target's masks, each (K,), of all masks to compare."""
    device = target.stuff.device
    stuff_query = output.layers[0].logits.shape[1] + target.stuff
    stuff_row = len(target.things) + torch.arange(len(target.stuff), device=device)
    query = torch.cat([x for match in layers for x in (match.queries, stuff_query)])
    row = torch.cat([x for match in layers for x in (match.segments, stuff_row)])
    counts = torch.tensor([len(match.queries) + len(stuff_row) for match in layers])
    return torch.arange(len(layers)).repeat_interleave(counts).to(device), query, row


def _compare(
    embeddings: Tensor,
    cxcywh_norm: Tensor,
    pixels: Tensor,
    row: Tensor,
    target: FastTarget,
    *,
    stride: int,
) -> Tensor:
    """Return (2, K) cross entropy and dice loss of K queries and the masks `row` (K,) of a target.

    Masks are compared at `stride`, 8 or 2; for stride 2, logits of stride 4 are interpolated.
    """
    logits = mask_logits(
        embeddings,
        pixels,
        cxcywh_norm=cxcywh_norm,
        size=target.size,
        stride=max(stride, PIXEL),
    )
    if not len(row):
        return logits.sum((1, 2)).expand(2, 0)  # empty, but connected to the graph
    shares = target.at[stride]
    if stride < PIXEL:
        logits = F.interpolate(logits[None], size=shares.known.shape, mode="bilinear")[0]
    return torch.stack(entropy_and_dice(logits, shares.masks[row], shares.known))
