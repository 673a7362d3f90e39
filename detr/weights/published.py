"""DETR with the weights that its authors published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from base.errors import InputError
from detr.data.padded import Padded, pad
from detr.model.detr import DETR
from detr.model.segmentation import DETRsegm
from detr.weights.files import load_strictly, read_weights
from detr.weights.names import ADDRESS, FILES, UNPUBLISHED, check_source


def _batch(images: Sequence[Tensor]) -> Padded:
    """Pad photos to a common size. Raises ValueError unless all are (3, H, W) tensors."""
    shapes = [tuple(image.shape) for image in images]
    if not shapes or any(len(shape) != 3 or shape[0] != 3 for shape in shapes):
        raise ValueError(f"images: expected a list of (3, H, W) tensors, found {shapes or 'none'}")
    return pad(images)


class Detector(DETR):
    """A box model that takes photos of any size."""

    def forward(self, images: Sequence[Tensor]) -> dict[str, Tensor]:  # type: ignore[override]
        """Predict classes and boxes for normalised RGB photos (3, H, W) of any size.

        Returns `pred_logits` (B, Q, classes + 1) and `pred_boxes` (B, Q, 4), cxcywh as fractions
        of each photo's size.
        """
        last = super().forward(_batch(images)).layers[-1]
        return {"pred_logits": last.logits, "pred_boxes": last.cxcywh_norm}


class Segmenter(DETRsegm):
    """A model with a mask head that takes photos of any size."""

    def forward(self, images: Sequence[Tensor]) -> dict[str, Tensor]:
        """Like `Detector`; also returns `pred_masks` (B, Q, H/4, W/4), padded mask logits."""
        output = self.detr(_batch(images))
        last = output.layers[-1]
        return {
            "pred_logits": last.logits,
            "pred_boxes": last.cxcywh_norm,
            "pred_masks": self.all_masks(output),
        }


def load_published(source: str | Path, *, dilation: bool | None = None) -> Detector | Segmenter:
    """Load published weights by name, or a weights file, and return the model in evaluation mode.

    This function is public: other programs call it as docs/model.md describes, and the command line
    does not use it.

    Published weights are read from the cache of torch.hub, or downloaded to it. The model is
    inferred from its weights; `dilation` says whether it is a DC5 model if neither the file nor its
    name does. Raises InputError if the file cannot be found or downloaded, or does not contain DETR
    weights.
    """
    weights = read_weights(find_weights(source), dilation=dilation)
    model: Detector | Segmenter
    if weights.has_masks:
        detr = DETR(weights.config, weights.num_classes, pretrained=False)
        model = Segmenter(detr, weights.config)
    else:
        model = Detector(weights.config, weights.num_classes, pretrained=False)
    load_strictly(model, weights.state, where=weights.where)
    return model.eval()


def find_weights(source: str | Path) -> Path:
    """Return the path of published weights, downloaded if necessary, or of a weights file.

    Raises InputError if there is no such name or file, or if the download fails.
    """
    if str(source) in FILES:
        return _download(FILES[str(source)])
    path = Path(source)
    if path.is_dir():
        example = path / "checkpoints" / "masks.pt"
        raise InputError(f"{path}: expected a weights file, such as {example}, found a folder")
    check_source(source)
    return path


def _download(file: str) -> Path:
    """Return a published file in the cache of torch.hub, after downloading it if necessary."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / file
    if not path.is_file() and file == UNPUBLISHED:
        raise InputError(
            f"{path}: missing; the authors of DETR never published this file; place weights of that"
            " model there, pass their path instead of the name, or use detr-r101-panoptic or"
            " detr-r50-dc5-panoptic"
        )
    if not path.is_file():
        url = ADDRESS + file
        try:
            torch.hub.load_state_dict_from_url(
                url, map_location="cpu", check_hash=True, weights_only=True
            )
        except (OSError, RuntimeError) as error:  # no network, or an incomplete file
            raise InputError(
                f"{path}: missing, and {url} cannot be downloaded ({error}); download that file"
                " yourself and place it there, or pass its path instead of the name"
            ) from None
    return path
