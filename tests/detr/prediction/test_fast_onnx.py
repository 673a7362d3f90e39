"""The ONNX export of the fast variant matches torch for photos of any size."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import torch

from detr.data.padded import pad
from detr.data.view import size_in_testing
from detr.model.fast.masks import mask_logits
from detr.prediction.export_onnx import export_onnx
from detr.prediction.fast_onnx import OUTPUTS
from tests.detr.model.fast.models import fast_model, photo, save_run

DOCS = Path(__file__).parents[3] / "docs/model.md"
SIZES = ((96, 128), (64, 200), (131, 77))  # the last is not a multiple of any stride


@torch.no_grad()
def test_onnxruntime_computes_the_same(tmp_path: Path, shallow: None) -> None:
    model, path = fast_model(dec_layers=1), tmp_path / "fast.onnx"
    save_run(tmp_path / "run", model)
    export_onnx(tmp_path / "run", path)
    session = onnxruntime.InferenceSession(path)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["things"]) == ["ball", "box"]
    assert json.loads(metadata["stuff"]) == ["sky", "grass", "road"]
    assert json.loads(metadata["size"]) == list(size_in_testing(model.config))
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
        logits, boxes, presence, all_masks = map(torch.from_numpy, found)
        # the order of queries with almost the same score depends on rounding
        count = logits.shape[1]
        order = torch.cdist(boxes[0, :count], last.cxcywh_norm[0, :count]).argmin(0)
        assert sorted(order.tolist()) == list(range(count))
        every = torch.cat([order, torch.arange(count, boxes.shape[1])])  # stuff keeps its order
        same = (logits[:, order], boxes[:, every], presence, all_masks[:, every])
        for name, value, wanted in zip(OUTPUTS, same, expected, strict=True):
            assert torch.allclose(value, wanted, atol=1e-3), name
    _run_documented_example(path, tmp_path)


def _run_documented_example(model: Path, folder: Path) -> None:
    """Run the example of docs/model.md in a folder with the files that it names."""
    example = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)[-1]
    model.rename(folder / "model.onnx")
    cv2.imwrite(str(folder / "photo.jpg"), np.full((70, 90, 3), 90, np.uint8))
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and done.stdout.startswith("stuff: ["), done.stderr
    assert cv2.imread(str(folder / "predicted.jpg")).shape == (70, 90, 3)
