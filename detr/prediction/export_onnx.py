"""A trained model as ONNX, for programs without torch."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from base.files import replacing
from detr.data.padded import Padded
from detr.model.detr import DETR
from detr.model.segmentation import DETRsegm
from detr.prediction.predictor import find_model, load_model
from detr.weights.checkpoint import checkpoint_path, masks_path

OUTPUTS = ["pred_logits", "pred_boxes", "pred_masks"]
SMALLEST = 64  # pixels; an example's sides, which the file is not bound to


class OnePhoto(nn.Module):
    """A model that takes one photo without padding, and gives tensors only."""

    def __init__(self, model: DETR | DETRsegm) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """(1, 3, H, W) normalised RGB to logits, boxes and, with a head, masks (1, Q, h, w)."""
        padding = torch.zeros_like(image[:, 0], dtype=torch.bool)
        trunk = self.model if isinstance(self.model, DETR) else self.model.detr
        output = trunk(Padded(image, padding))
        guess = output.guesses[-1]
        if not isinstance(self.model, DETRsegm):
            return guess.logits, guess.cxcywh_norm
        state = output.state[0]
        photo = torch.zeros(len(state), dtype=torch.int64, device=image.device)
        return guess.logits, guess.cxcywh_norm, self.model.masks_of(output, state, photo)[None]


def export_onnx(source: str | Path, out: Path) -> None:
    """Write the model of a run, a weights file or a published name; masks where it has them."""
    folder = Path(source)
    boxes = checkpoint_path(folder, "boxes")
    only_boxes = boxes.is_file() and not masks_path(folder).exists()
    model, classes, config = load_model(boxes if only_boxes else find_model(source))
    found = (classes.category(index) for index in range(len(classes)))
    names = [category.name if category else "" for category in found]
    write_onnx(model, out, told={"classes": json.dumps(names), "backbone": config.backbone})


def write_onnx(model: DETR | DETRsegm, out: Path, *, told: dict[str, str]) -> None:
    """Write a model whose input `image` is (1, 3, H, W) of any size, normalised.

    `told` goes into the file's metadata.
    """
    sides = {
        2: torch.export.Dim("height", min=SMALLEST),
        3: torch.export.Dim("width", min=SMALLEST),
    }
    example = torch.zeros(1, 3, 3 * SMALLEST, 4 * SMALLEST)
    with replacing(out) as temporary, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about torch's own insides
        program = torch.onnx.export(
            OnePhoto(model).eval(),
            (example,),
            input_names=["image"],
            output_names=OUTPUTS if isinstance(model, DETRsegm) else OUTPUTS[:2],
            dynamic_shapes={"image": sides},
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props.update(told)
        program.save(temporary, external_data=False)
