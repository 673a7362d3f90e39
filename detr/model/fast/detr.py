"""FastDETR: backbone, pyramid, dense head, decoder; classes, boxes and masks in one pass.

The parts follow published models: query selection by a dense head and iterative box refinement as
in Deformable DETR (Zhu et al., ICLR 2021), a pyramid as in RT-DETR (Zhao et al., CVPR 2024), masks
as in MaskFormer (Cheng et al., NeurIPS 2021). One addition is not published: each stuff category
has its own query, which predicts the presence and the mask of that category.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detr.config import TrainConfig
from detr.data.kinds import Kinds
from detr.data.padded import Padded
from detr.kernels.layers import PointwiseConv
from detr.model.backbone import build_backbone, feature_channels
from detr.model.fast.decoder import Decoder, Queries
from detr.model.fast.dense import DenseHead, best_places
from detr.model.fast.output import DenseOutput, FastOutput
from detr.model.fast.places import Places, count_places, to_places
from detr.model.fast.pyramid import Pyramid, mask_dim_of
from detr.model.fast.sizes import (
    STRIDE,
    Group,
    Size,
    compute_groups,
    photo_sizes,
    separate,
    stack,
)

WHOLE_PHOTO = (0.5, 0.5, 1.0, 1.0)  # cxcywh_norm
# name prefixes of the backbone's layers beyond stride 8; only these layers are trained
TRAINED = (*(f"_blocks.{i}." for i in range(5, 16)), "layer3.", "layer4.")


class FastDETR(nn.Module):
    """A panoptic model for photos of any size; `kinds` lists the thing and the stuff classes."""

    def __init__(self, config: TrainConfig, kinds: Kinds, *, pretrained: bool) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.config, self.kinds = config, kinds
        things, stuff = len(kinds.things), len(kinds.stuff)
        # named `backbone.0.body` as in the published model, so that either can load the other's
        self.backbone = nn.Sequential(build_backbone(config, pretrained=pretrained)[0])
        for name, parameter in self.backbone.named_parameters():
            if not name.removeprefix("0.body.").startswith(TRAINED):
                parameter.requires_grad_(False)
        self.pyramid = Pyramid(config, feature_channels(config))
        self.semantic_embed = PointwiseConv(mask_dim_of(config), things + stuff)
        self.dense = DenseHead(dim, things) if things else None
        self.stuff_embed = nn.Embedding(stuff, dim) if stuff else None
        self.decoder = Decoder(config, things=things, stuff=stuff)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for module in self.modules():
            if isinstance(module, PointwiseConv):  # the strides of the gradient of a matrix
                module.weight.data = module.weight.clone(memory_format=torch.contiguous_format)

    def forward(self, images: Padded) -> FastOutput:
        """Predict for normalised RGB photos (B, 3, H, W).

        The prediction for a photo depends neither on other photos of the batch nor on padding.
        """
        sizes = photo_sizes(images.padding)
        return self._predict(compute_groups(images, sizes, self._features), sizes)

    def predict_one(self, image: Tensor) -> FastOutput:
        """Predict for one normalised RGB photo (1, 3, H, W), without branching on its size.

        Computes the same as `forward`; for exports that are traced once for photos of all sizes.
        """
        height, width = image.shape[2], image.shape[3]
        padded = F.pad(image, (0, -width % STRIDE, 0, -height % STRIDE))
        group = Group((0,), self._features(padded))
        return self._predict([group], ((height, width),))

    def _predict(self, groups: list[Group], sizes: tuple[Size, ...]) -> FastOutput:
        """Predict from the features of photos of these sizes."""
        places = to_places([stack(groups, number) for number in range(3)], sizes)
        dense, queries, num_queries = self._queries(places, [count_places(s) for s in sizes])
        return FastOutput(
            dense,
            self.decoder(queries, places),
            separate(groups, 3),
            separate(groups, 4) if self.training else (),
            sizes,
            num_queries,
        )

    def _features(self, images: Tensor) -> list[Tensor]:
        """Compute levels of strides 8, 16, 32, pixel embeddings and, in training, semantic logits.

        All images (B, 3, H, W) have the same canvas size, a multiple of 32.
        """
        images = images.contiguous(memory_format=torch.channels_last)
        no_padding = torch.zeros_like(images[:, 0], dtype=torch.bool)
        features = self.backbone[0](Padded(images, no_padding))
        levels, pixels = self.pyramid([level.values for level in features])
        return [*levels, pixels, *([self.semantic_embed(pixels)] if self.training else [])]

    def _queries(
        self, places: Places, counts: list[int]
    ) -> tuple[DenseOutput | None, Queries, tuple[int, ...]]:
        """Return the dense prediction, the queries, and the number of thing queries of each photo.

        `counts` are the numbers of locations of the photos.
        """
        batch, device = len(counts), places.tokens.device
        num_queries = [min(count, self.config.num_queries) if self.dense else 0 for count in counts]
        most = max(num_queries)
        contents, boxes, dense = [], [], None
        if self.dense is not None:
            content, dense = self.dense(places, self.decoder.mask_embed)
            best = best_places(dense, most)[..., None]  # (B, Q, 1)
            contents.append(content.gather(1, best.expand(-1, -1, content.shape[-1])))
            boxes.append(dense.cxcywh_norm.gather(1, best.expand(-1, -1, 4)))
        if self.stuff_embed is not None:
            stuff = self.stuff_embed.weight.expand(batch, -1, -1)
            whole = torch.tensor(WHOLE_PHOTO, device=device).expand(batch, stuff.shape[1], 4)
            contents.append(stuff.to(places.tokens.dtype))
            boxes.append(whole)
        padding_mask = None
        if min(num_queries) < most:
            numbers = torch.arange(most + len(self.kinds.stuff), device=device)
            limits = torch.tensor(num_queries, device=device)[:, None]
            padding_mask = (numbers >= limits) & (numbers < most)
        queries = Queries(torch.cat(contents, 1), torch.cat(boxes, 1), padding_mask)
        return dense, queries, tuple(num_queries)

    def category_rows(self) -> dict[str, tuple[int, ...]]:
        """Return `category_rows` of this model's parameters."""
        return category_rows((name for name, _ in self.named_parameters()), self.kinds)


def category_rows(names: Iterable[str], kinds: Kinds) -> dict[str, tuple[int, ...]]:
    """Return the class index of each row, for those parameters that have a row per category.

    They are used to copy the rows of categories with the same name from another model.
    """
    rows = {
        "semantic_embed": kinds.things + kinds.stuff,
        "dense.class_embed": kinds.things,
        "decoder.class_embed": kinds.things,
        "stuff_embed": kinds.stuff,
        "decoder.presence_embed": kinds.stuff,
    }
    return {
        name: classes
        for name in names
        for part, classes in rows.items()
        if name.startswith(f"{part}.")
    }
