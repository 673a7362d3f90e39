"""An exported fast model computes what torch computes, for photos of any size."""

from __future__ import annotations

import warnings
from pathlib import Path

import onnxruntime
import torch

from detr.data.padded import pad
from detr.model.fast.masks import mask_logits
from detr.prediction.fast_onnx import OUTPUTS, FastOnePhoto
from tests.detr.model.fast.models import fast_model, photo

SIZES = ((96, 128), (64, 200), (131, 77))  # the last is not a multiple of any stride


@torch.no_grad()
def test_onnxruntime_computes_the_same(tmp_path: Path) -> None:
    model, path = fast_model(), tmp_path / "fast.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the implementation of torch
        program = torch.onnx.export(
            FastOnePhoto(model).eval(),
            (torch.zeros(1, 3, 192, 256),),
            input_names=["image"],
            output_names=list(OUTPUTS),
            dynamic_shapes={
                "image": {
                    2: torch.export.Dim("height", min=64),
                    3: torch.export.Dim("width", min=64),
                }
            },
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.save(path, external_data=False)
    session = onnxruntime.InferenceSession(path)
    for size in SIZES:
        image = photo(*size)
        output = model(pad([image]))
        last = output.layers[-1]
        masks = mask_logits(
            last.mask_embeddings[0],
            output.pixels[0],
            cxcywh_norm=last.cxcywh_norm[0],
            size=output.sizes[0],
        )
        expected = (last.logits, last.cxcywh_norm, last.presence, masks[None])
        found = session.run(list(OUTPUTS), {"image": image[None].numpy()})
        for name, value, wanted in zip(OUTPUTS, found, expected, strict=True):
            assert torch.allclose(torch.from_numpy(value), wanted, atol=1e-3), name
