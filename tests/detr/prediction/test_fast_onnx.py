"""The ONNX export of the fast variant matches torch for photos of any size."""

from __future__ import annotations

import json
from pathlib import Path

import onnxruntime
import torch

from detr.data.padded import pad
from detr.model.fast.masks import mask_logits
from detr.prediction.export_onnx import export_onnx
from detr.prediction.fast_onnx import OUTPUTS
from tests.detr.model.fast.models import fast_model, photo, save_run

SIZES = ((96, 128), (64, 200), (131, 77))  # the last is not a multiple of any stride


@torch.no_grad()
def test_onnxruntime_computes_the_same(tmp_path: Path) -> None:
    model, path = fast_model(), tmp_path / "fast.onnx"
    save_run(tmp_path / "run", model)
    export_onnx(tmp_path / "run", path)
    session = onnxruntime.InferenceSession(path)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["things"]) == ["ball", "box"]
    assert json.loads(metadata["stuff"]) == ["sky", "grass", "road"]
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
