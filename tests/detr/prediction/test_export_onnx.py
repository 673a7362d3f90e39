"""Exported models give the same results in onnxruntime as in torch, for photos of any size."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest
import torch

from detr.config import TrainConfig
from detr.prediction.export_onnx import export_onnx
from detr.weights.published import load_published
from tests.detr.random_weights import SMALL, save

SIZES = ((96, 128), (64, 200), (131, 77))  # the last is not a multiple of any stride


@pytest.mark.parametrize(
    ("config", "masks"),
    [(SMALL, True), (replace(SMALL, dec_layers=1, pre_norm=True), False)],
    ids=["masks", "boxes"],
)
def test_onnxruntime_and_torch_agree(
    config: TrainConfig,
    masks: bool,
    tmp_path: Path,
    shallow: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    torch.manual_seed(0)
    weights = save(tmp_path / "own.pth", config, 91, masks=masks)
    export_onnx(weights, tmp_path / "own.onnx")
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []
    session = onnxruntime.InferenceSession(tmp_path / "own.onnx")
    model = load_published(weights)
    for size in SIZES:
        image = torch.randn(3, *size)
        with torch.no_grad():
            expected = model([image])
        found = session.run(list(expected), {"image": image[None].numpy()})
        for name, value in zip(expected, found, strict=True):
            assert torch.allclose(torch.from_numpy(value), expected[name], atol=1e-3), name
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"])[:5] == ["", "person", "bicycle", "car", "motorcycle"]
    assert metadata["backbone"] == "resnet18"
