"""An exported model without masks gives the same results in onnxruntime as in torch.

tests/test_pipeline.py compares one with masks.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from detr.prediction.export_onnx import export_onnx
from detr.weights.published import load_published
from tests.detr.prediction.exported import check_agreement
from tests.detr.random_weights import SMALL, save


def test_onnxruntime_and_torch_agree(
    tmp_path: Path, shallow: None, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    config = replace(SMALL, dec_layers=1, pre_norm=True)
    weights = save(tmp_path / "own.pth", config, 91, masks=False)
    export_onnx(weights, tmp_path / "own.onnx")
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []
    model = load_published(weights)
    assert set(model([torch.zeros(3, 64, 64)])) == {"pred_logits", "pred_boxes"}
    metadata = check_agreement(tmp_path / "own.onnx", model)
    assert json.loads(metadata["classes"])[:5] == ["", "person", "bicycle", "car", "motorcycle"]
    assert metadata["backbone"] == "resnet18"
