"""DETR with the weights that its authors published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from base.errors import InputError, nearest
from detr.data.padded import Padded, pad
from detr.model.detr import DETR
from detr.model.segmentation import DETRsegm
from detr.weights.files import load_strictly, read_weights

ADDRESS = "https://dl.fbaipublicfiles.com/detr/"
FILES = {
    "detr-r50": "detr-r50-e632da11.pth",
    "detr-r50-dc5": "detr-r50-dc5-f0fb7ef5.pth",
    "detr-r101": "detr-r101-2c7b67e5.pth",
    "detr-r101-dc5": "detr-r101-dc5-a2e86def.pth",
    "detr-r50-panoptic": "detr-r50-panoptic-00ce5173.pth",
    "detr-r50-dc5-panoptic": "detr-r50-dc5-panoptic-da08f1b1.pth",
    "detr-r101-panoptic": "detr-r101-panoptic-40021d53.pth",
    "detr-r101-dc5-panoptic": "detr-r101-dc5-panoptic.pth",
}
UNPUBLISHED = FILES["detr-r101-dc5-panoptic"]  # others may have trained such weights


def _batch(images: Sequence[Tensor]) -> Padded:
    """ValueError where these are no photos."""
    shapes = [tuple(image.shape) for image in images]
    if not shapes or any(len(shape) != 3 or shape[0] != 3 for shape in shapes):
        raise ValueError(f"images: expected a list of (3, H, W) tensors, got {shapes or 'none'}")
    return pad(images)


class Detector(DETR):
    """A box model that takes photos as they are."""

    def forward(self, images: Sequence[Tensor]) -> dict[str, Tensor]:  # type: ignore[override]
        """Normalised RGB photos (3, H, W) of any sizes to what each query found.

        `pred_logits` (B, Q, classes + 1), `pred_boxes` (B, Q, 4) cxcywh in 0..1 of its photo.
        """
        guess = super().forward(_batch(images)).guesses[-1]
        return {"pred_logits": guess.logits, "pred_boxes": guess.cxcywh_norm}


class Segmenter(DETRsegm):
    """A model with a mask head that takes photos as they are."""

    def forward(self, images: Sequence[Tensor]) -> dict[str, Tensor]:
        """As `Detector`, and `pred_masks` (B, Q, H/4, W/4): logits over the padded batch."""
        output = self.detr(_batch(images))
        guess = output.guesses[-1]
        return {
            "pred_logits": guess.logits,
            "pred_boxes": guess.cxcywh_norm,
            "pred_masks": self.all_masks(output),
        }


def load_published(source: str | Path, *, dilation: bool | None = None) -> Detector | Segmenter:
    """The model of a published name or a file of weights, in eval mode.

    A name's file comes from the torch hub cache, or is downloaded into it. Everything about the
    model is told from its weights; `dilation` says whether it is a DC5 model where the file's name
    does not.
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
    """The file of a published name, downloaded if need be, or the file itself."""
    if str(source) in FILES:
        return _download(FILES[str(source)])
    path = Path(source)
    if path.is_dir():
        such = path / "checkpoints" / "masks.pt"
        raise InputError(f"{path}: is a folder; expected a file of weights, such as {such}")
    if not path.is_file():
        known = nearest(str(source), FILES)
        raise InputError(f"{source}: is neither a file nor a published name{known}")
    return path


def _download(file: str) -> Path:
    """A published file in the torch hub cache; InputError with the steps by hand without net."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / file
    if not path.is_file() and file == UNPUBLISHED:
        raise InputError(
            f"{path}: missing, and the authors of DETR never published such a file; put weights of"
            " that model there or name their file, or use detr-r101-panoptic or"
            " detr-r50-dc5-panoptic"
        )
    if not path.is_file():
        url = ADDRESS + file
        try:
            torch.hub.load_state_dict_from_url(
                url, map_location="cpu", check_hash=True, weights_only=True
            )
        except (OSError, RuntimeError) as error:  # no network; a broken file
            raise InputError(
                f"{path}: missing, and {url} cannot be downloaded ({error}); download that file"
                f" by other means and put it there, or name the file itself"
            ) from None
    return path
