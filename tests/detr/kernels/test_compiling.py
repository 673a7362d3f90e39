"""torch.compile does not change the losses, and its errors are explained in one line."""

from __future__ import annotations

from dataclasses import replace
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._inductor import config as inductor

from base.errors import InputError
from detr.config import TrainConfig
from detr.data.classes import packed_classes
from detr.data.loader import plan_steps, read_batches
from detr.data.padded import pad
from detr.data.splits import read_splits
from detr.kernels.compiling import explained_compiler_errors
from detr.model.detr import DETR
from detr.training.batch_losses import step_losses
from detr.training.optimizer import build_optimizer
from detr.training.processes import Processes
from detr.training.stage_model import Stage, build_module, prepare_model
from tests.detr.drawn import CATEGORIES, draw_set
from tests.detr.random_weights import SMALL

ONE_SIZE = {"min_size": 64, "max_size": 96, "train_sizes": (64,), "flip": False, "crop": 0}
CONFIG = replace(SMALL, dec_layers=1, num_workers=0, dropout=0, **ONE_SIZE)


def two_steps(panoptic: Path, config: TrainConfig, stage: Stage) -> list[dict[str, float]]:
    """Return the losses of two steps; those of the second depend on the gradients of the first."""
    torch.manual_seed(0)
    module = build_module(config, packed_classes(CATEGORIES), stage, pretrained=False)
    model = prepare_model(module, stage, config, Processes(0, 1, torch.device("cpu")))
    optimizer = build_optimizer(module, config, lr=1e-4)
    examples = read_splits(panoptic).examples("train", config)
    model.set_training(True)
    losses = []
    for step in plan_steps(range(4), config):
        optimizer.zero_grad()
        found = step_losses(model, step, list(read_batches(examples, step.batches)))
        optimizer.step()
        losses.append({name: float(value) for name, value in found.items()})
    return losses


def test_compiling_does_not_change_the_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shallow: None
) -> None:
    """The whole trunk is traced and differentiated; translating it to C++ would take minutes."""
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="aot_eager"))
    check_losses(tmp_path / "panoptic", "joint", CONFIG)


def check_losses(panoptic: Path, stage: Stage, config: TrainConfig) -> None:
    torch.compiler.reset()
    draw_set(panoptic)
    plain = two_steps(panoptic, config, stage)
    compiled = two_steps(panoptic, replace(config, compile=True), stage)
    assert len(plain) == len(compiled) == 2
    assert plain[0] != plain[1]
    for one, other in zip(plain, compiled, strict=True):
        assert other == pytest.approx(one, abs=1e-4)


NO_COMPILER = {
    "cpp.cxx": ("no-such-compiler",),
    "force_disable_caches": True,
    "compile_threads": 1,
}


@inductor.patch(NO_COMPILER)  # type: ignore[untyped-decorator]
def test_a_missing_compiler_is_explained_in_one_line() -> None:
    torch.compiler.reset()
    twice = torch.compile(lambda x: (x * 2).relu())
    message = r"^compile: torch.compile failed: .*; it needs a C\+\+ compiler .*compile=false$"
    with pytest.raises(InputError, match=message), explained_compiler_errors():
        twice(torch.ones(4))
    with pytest.raises(RuntimeError, match="other"), explained_compiler_errors():
        raise RuntimeError("other")


def test_photos_of_many_sizes_are_compiled_once(shallow: None) -> None:
    """The code for small inputs is disabled, because it would be recompiled for each size."""
    torch.compiler.reset()
    graphs: list[object] = []

    def counting(graph: Any, inputs: object) -> Any:
        graphs.append(graph)
        return graph.forward

    detr = DETR(replace(SMALL, dim_feedforward=2048), 4, pretrained=False).train()
    compiled = torch.compile(detr, dynamic=True, backend=counting)
    for side in (64, 96, 160, 224, 320):
        compiled(pad([torch.rand(3, side, side + 32), torch.rand(3, side, side)]))
    assert len(graphs) == 1
