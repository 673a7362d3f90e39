"""Export of a trained model to ONNX, for programs without torch."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from base.files import replacing
from detr.data.kinds import kinds_of
from detr.data.padded import Padded
from detr.data.view import size_in_testing
from detr.model.detr import DETR
from detr.model.fast.detr import FastDETR
from detr.model.segmentation import DETRsegm
from detr.prediction import fast_onnx
from detr.prediction.predictor import LoadedModel, find_model_file, load_model
from detr.weights.checkpoint import checkpoint_path, masks_path
from detr.weights.init import class_names

OUTPUTS = ["pred_logits", "pred_boxes", "pred_masks"]
MIN_SIDE = 64  # pixels
EXPORTERS = ("onnxscript", "onnx_ir", "torch.onnx")


class OnePhoto(nn.Module):
    """A model for one photo without padding, with tensors as input and output."""

    def __init__(self, model: DETR | DETRsegm) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Predict logits, boxes and, with a mask head, masks (1, Q, h, w).

        `image` is a normalised RGB photo (1, 3, H, W).
        """
        padding = torch.zeros_like(image[:, 0], dtype=torch.bool)
        trunk = self.model if isinstance(self.model, DETR) else self.model.detr
        output = trunk(Padded(image, padding))
        last = output.layers[-1]
        if not isinstance(self.model, DETRsegm):
            return last.logits, last.cxcywh_norm
        embeddings = output.embeddings[0]
        photo = torch.zeros(len(embeddings), dtype=torch.int64, device=image.device)
        masks = self.model.masks_of_embeddings(output, embeddings, photo)
        return last.logits, last.cxcywh_norm, masks[None]


def export_onnx(source: str | Path, out: Path) -> None:
    """Export the model of a run, of a weights file or of published weights by name.

    Includes masks if the model predicts them. Raises InputError if there is no such model.
    """
    folder = Path(source)
    boxes = checkpoint_path(folder, "boxes")
    only_boxes = boxes.is_file() and not masks_path(folder).exists()
    loaded = load_model(boxes if only_boxes else find_model_file(source))
    write_onnx(loaded.model, out, metadata=_metadata(loaded))


def _metadata(loaded: LoadedModel) -> dict[str, str]:
    """The names of the classes of the outputs, and how to resize and normalise photos, as JSON.

    `FastDETR` has logits of things and presence of stuff, so there is a list of each.
    """
    names, config = class_names(loaded.classes), loaded.config
    metadata = {
        "classes": json.dumps(names),
        "backbone": config.backbone,
        "size": json.dumps(size_in_testing(config)),
    }
    if config.variant == "fast":
        kinds = kinds_of(loaded.classes)
        for kind, indices in (("things", kinds.things), ("stuff", kinds.stuff)):
            metadata[kind] = json.dumps([names[index] for index in indices])
    return metadata


@contextmanager
def _without_notes() -> Iterator[None]:
    """Hide warnings and log lines about the implementation of the exporters."""
    loggers = [logging.getLogger(name) for name in EXPORTERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def write_onnx(model: DETR | DETRsegm | FastDETR, out: Path, *, metadata: dict[str, str]) -> None:
    """Write a model with the input `image`, one normalised RGB photo (1, 3, H, W) of any size.

    `metadata` is written to the file's metadata properties.
    """
    sides = {
        2: torch.export.Dim("height", min=MIN_SIDE),
        3: torch.export.Dim("width", min=MIN_SIDE),
    }
    example = torch.zeros(1, 3, 3 * MIN_SIDE, 4 * MIN_SIDE)
    if isinstance(model, FastDETR):
        one_photo: nn.Module = fast_onnx.FastOnePhoto(model)
        outputs = list(fast_onnx.OUTPUTS)
    else:
        one_photo = OnePhoto(model)
        outputs = OUTPUTS if isinstance(model, DETRsegm) else OUTPUTS[:2]
    size = sum(tensor.nbytes for tensor in one_photo.state_dict().values())
    with replacing(out, size=size) as temporary, torch.no_grad(), _without_notes():
        program = torch.onnx.export(
            one_photo.eval(),
            (example,),
            input_names=["image"],
            output_names=outputs,
            dynamic_shapes={"image": sides},
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props.update(metadata)
        program.save(temporary, external_data=False)
