"""`FastDETR` for ONNX export: one photo of any size, with tensors as input and output."""

from __future__ import annotations

from torch import Tensor, nn

from detr.model.fast.detr import FastDETR
from detr.model.fast.masks import mask_logits

OUTPUTS = ("pred_logits", "pred_boxes", "pred_presence", "pred_masks")


class FastOnePhoto(nn.Module):
    """Wraps a model to predict one photo without padding."""

    def __init__(self, model: FastDETR) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Predict from one normalised RGB photo (1, 3, H, W).

        Returns class logits of things (1, Q, things), boxes (1, Q + stuff, 4), presence logits of
        stuff (1, stuff), and mask logits (1, Q + stuff, h, w) at stride 4 of the photo padded to a
        multiple of 32 pixels.
        """
        output = self.model.predict_one(image)
        last = output.layers[-1]
        masks = mask_logits(
            last.mask_embeddings[0],
            output.pixels[0],
            cxcywh_norm=last.cxcywh_norm[0],
            size=output.sizes[0],
        )
        return last.logits, last.cxcywh_norm, last.presence, masks[None]
