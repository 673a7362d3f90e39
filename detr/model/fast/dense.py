"""The dense head: class scores and a box for every location; the best locations become queries.

Two-stage DETRs select their queries in this way (Zhu et al., ICLR 2021; Zhao et al., CVPR 2024).
Queries initialised from the photo's features converge in far fewer steps than learned queries.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from detr.kernels.layers import Linear
from detr.model.detr import MLP
from detr.model.fast.output import DenseOutput
from detr.model.fast.places import Places

RARE = -math.log(99)  # logit of 1 %: the initial score of every class


class DenseHead(nn.Module):
    """Box and class logits of things at every location; each class has its own sigmoid."""

    def __init__(self, dim: int, things: int) -> None:
        super().__init__()
        self.enter = Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.class_embed = start_rare(Linear(dim, things))
        self.bbox_embed = start_unchanged(MLP(dim, dim, 4, layers=3))

    def forward(self, places: Places, mask_embed: nn.Module) -> tuple[Tensor, DenseOutput]:
        """Return the query content (B, N, D) and the prediction of each location.

        `mask_embed` is the decoder's mask head, which is also trained on matched locations.
        """
        content, anchors = self.norm(self.enter(places.tokens)), places.anchors_norm

        def learn_at(photo: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
            own = content[photo, place][None]  # (1, K, D)
            boxes = refine_boxes(self.bbox_embed, own, anchors[photo, place][None])
            # float32, because losses run outside autocast, where layers do not cast their input
            return boxes[0], mask_embed(own.float())[0].float()

        with torch.no_grad():
            boxes = refine_boxes(self.bbox_embed, content, anchors)
        logits = self.class_embed(content).float()
        output = DenseOutput(logits, boxes, learn_at, anchors[..., :2], places.padding_mask)
        return content, output


def best_places(output: DenseOutput, count: int) -> Tensor:
    """Return indices (B, count) of the locations with the highest scores; padding comes last."""
    scores = output.logits.amax(-1).masked_fill(output.padding_mask, -torch.inf)
    return scores.topk(count, 1).indices


def refine_boxes(bbox_embed: nn.Module, content: Tensor, cxcywh_norm: Tensor) -> Tensor:
    """Refine boxes (B, N, 4) by offsets predicted from content (B, N, D), in float32."""
    with torch.autocast(content.device.type, enabled=False):
        offsets: Tensor = bbox_embed(content.float())
        return (offsets + torch.logit(cxcywh_norm.float(), eps=1e-4)).sigmoid()


def start_rare(class_embed: Linear) -> Linear:
    """Initialise the bias of a classifier to a score of 1 % (Lin et al., ICCV 2017)."""
    nn.init.constant_(class_embed.bias, RARE)
    return class_embed


def start_unchanged(bbox_embed: MLP) -> MLP:
    """Initialise a box head to predict offsets of zero."""
    last = bbox_embed.layers[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return bbox_embed
