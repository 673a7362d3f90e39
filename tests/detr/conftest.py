"""One thread, because several are slower for such small models; and a fixture for small models."""

import os

import detr  # noqa: F401  before torch, because it configures torch's threads

os.environ["OMP_NUM_THREADS"] = "1"  # of the programs that tests start

import pytest
import torch

from detr.model.resnet import LAYERS
from detr.weights.files import RESNETS

torch.set_num_threads(1)


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build resnet18 with one block per stage: compiling and exporting take time for each layer."""
    monkeypatch.setitem(LAYERS, "resnet18", (1, 1, 1, 1))
    monkeypatch.setitem(RESNETS, (False, 1), "resnet18")
