"""One thread, because several are slower for such small models; and a fixture for small models."""

import os
from dataclasses import replace

import detr  # noqa: F401  before torch, because it configures torch's threads

os.environ["OMP_NUM_THREADS"] = "1"  # of the programs that tests start

import pytest
import torch

from detr.model import efficientnet
from detr.weights.files import RESNETS

torch.set_num_threads(1)


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build backbones with one block per stage: compiling and exporting take time for each layer.

    EfficientNet-Lite0 has random weights then.
    """
    from detr.model.resnet import LAYERS  # imports torchvision, which takes two seconds

    monkeypatch.setitem(LAYERS, "resnet18", (1, 1, 1, 1))
    monkeypatch.setitem(RESNETS, (False, 1), "resnet18")
    stages = tuple(replace(stage, blocks=1) for stage in efficientnet.STAGES)
    monkeypatch.setattr(efficientnet, "STAGES", stages)
    monkeypatch.setattr(efficientnet, "OUTPUTS", {1: "0", 2: "1", 4: "2", 6: "3"})
    monkeypatch.setattr(efficientnet, "load_weights", lambda model: None)
