"""torch.compile does not change the losses, and its errors are explained in one line."""

from __future__ import annotations

from dataclasses import replace
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo import config as dynamo
from torch._dynamo import lookup_backend
from torch._inductor import config as inductor

from base.errors import InputError
from detr.config import TrainConfig
from detr.data.classes import packed_classes
from detr.data.loader import plan_steps, read_batches
from detr.data.splits import read_splits
from detr.kernels.compiling import explained_compiler_errors
from detr.training.batch_losses import step_losses
from detr.training.optimizer import build_optimizer
from detr.training.processes import Processes
from detr.training.stage_model import build_module, prepare_model
from tests.detr.drawn import CATEGORIES, draw_set
from tests.detr.random_weights import SMALL

CONFIG = replace(
    SMALL,
    dec_layers=1,
    dim_feedforward=2048,
    num_workers=0,
    dropout=0,
    crop=0,
)
SIDES = (160, 64, 320)  # of the photos of each step, in pixels


def losses_of_steps(panoptic: Path, config: TrainConfig) -> list[dict[str, float]]:
    """Return the losses of steps with photos of several sizes.

    From the second step on, they depend on the gradients of the step before.
    """
    torch.manual_seed(0)
    module = build_module(config, packed_classes(CATEGORIES), "joint", pretrained=False)
    model = prepare_model(module, "joint", config, Processes(0, 1, torch.device("cpu")))
    optimizer = build_optimizer(module, config, lr=1e-4)
    model.set_training(True)
    losses = []
    for side in SIDES:
        sized = replace(config, min_size=side, max_size=2 * side)
        examples = read_splits(panoptic).examples("train", sized)
        (step,) = plan_steps(range(2), sized)
        optimizer.zero_grad()
        found = step_losses(model, step, list(read_batches(examples, step.batches)))
        optimizer.step()
        losses.append({name: float(value) for name, value in found.items()})
    return losses


def test_compiling_does_not_change_the_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shallow: None
) -> None:
    """The trunk is traced and differentiated once for photos of all sizes.

    Translating it to C++ would take minutes. The code for small inputs is disabled, because it
    would be recompiled for each size.
    """
    graphs: list[object] = []

    def counting(graph: Any, inputs: Any) -> Any:
        compiled = lookup_backend("aot_eager")(graph, inputs)
        graphs.append(graph)
        return compiled

    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend=counting))
    torch.compiler.reset()
    panoptic = draw_set(tmp_path / "panoptic")
    plain = losses_of_steps(panoptic, CONFIG)
    with dynamo.patch(specialize_float=True):  # else, it traces everything twice
        compiled = losses_of_steps(panoptic, replace(CONFIG, compile=True))
    assert len(graphs) == 1
    assert len(plain) == len(compiled) > 1
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
