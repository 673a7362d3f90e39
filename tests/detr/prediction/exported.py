"""Comparing exported models with torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import torch

from detr.weights.published import Detector, Segmenter

SIZES = ((96, 128), (64, 200), (131, 77))  # the last is not a multiple of any stride


def check_agreement(path: Path, model: Detector | Segmenter) -> dict[str, Any]:
    """Compare the results of onnxruntime and torch for photos of any size; return the metadata."""
    session = onnxruntime.InferenceSession(path)
    torch.manual_seed(0)
    for size in SIZES:
        image = torch.randn(3, *size)
        with torch.no_grad():
            expected = model([image])
        found = session.run(list(expected), {"image": image[None].numpy()})
        for name, value in zip(expected, found, strict=True):
            assert torch.allclose(torch.from_numpy(value), expected[name], atol=1e-3), name
    return dict(session.get_modelmeta().custom_metadata_map)
