"""A stage's model as training calls it: compiled or not, in which precision, by how many processes.

The model is called in two parts: the trunk, which finds boxes, and the mask head, some queries at a
time.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from detr.config import TrainConfig
from detr.data.examples import Decoded
from detr.data.padded import Padded
from detr.kernels.fast import compute_type
from detr.model.detr import DETR, Guess, Output
from detr.model.segmentation import DETRsegm
from detr.training.clock import Clock
from detr.training.processes import Processes

Stage = Literal["boxes", "masks", "joint"]
Model = DETR | DETRsegm
Seen = Padded | list[Padded] | Decoded


class Trunk(nn.Module):
    """Photos, or what a cache knows of them, to guesses and what masks are learnt from."""

    def __init__(self, detr: DETR) -> None:
        super().__init__()
        self.detr = detr

    def forward(self, seen: Seen) -> Output:
        if isinstance(seen, Padded):
            output: Output = self.detr(seen)
            return output
        if isinstance(seen, list):
            return self.detr.detect(seen)
        last = seen.features[-1]
        projected = Padded(self.detr.input_proj(last.values), last.padding)
        guesses = tuple(Guess(*each) for each in zip(seen.logits, seen.cxcywh_norm, strict=True))
        return Output(guesses, seen.state, seen.memory, projected, seen.features)


class Head(nn.Module):
    """The mask head; of the model it owns nothing else, so that nothing else is waited for."""

    def __init__(self, model: DETRsegm) -> None:
        super().__init__()
        self.parts = nn.ModuleList([model.bbox_attention, model.mask_head])
        self._model = (model,)  # in a tuple, which nn.Module does not look into

    def forward(self, output: Output, photo: Tensor, query: Tensor) -> Tensor:
        """Mask logits (K, H/4, W/4) of the queries `query` of the photos `photo`, both (K,)."""
        return self._model[0].masks(output, photo, query)


@dataclass(frozen=True)
class Learner:
    """A stage's model and its two parts; the head is None where no masks are learnt."""

    stage: Stage
    config: TrainConfig
    processes: Processes
    model: Model
    trunk: nn.Module
    head: nn.Module | None
    clock: Clock

    @property
    def detr(self) -> DETR:
        return self.model if isinstance(self.model, DETR) else self.model.detr

    def autocast(self) -> AbstractContextManager[object]:
        """bfloat16 for what gains by it, where the configuration says so."""
        device, precision = self.processes.device.type, self.config.precision
        wanted = precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))
        return torch.autocast(device, torch.bfloat16, enabled=wanted)


def has_bfloat16(device: str) -> bool:
    """Whether "cuda" or "cpu" multiplies bfloat16 itself; elsewhere it is slower than float32."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def start_learner(model: Model, stage: Stage, config: TrainConfig, processes: Processes) -> Learner:
    """Make a model ready to learn; what is not trained is not shared between processes."""
    trunk: nn.Module = Trunk(model if isinstance(model, DETR) else model.detr)
    head: nn.Module | None = Head(model) if isinstance(model, DETRsegm) else None
    if config.compile and stage != "masks":
        trunk.compile(dynamic=True)
    trunk = trunk if stage == "masks" else processes.share(trunk)
    head = processes.share(head) if head else None
    return Learner(stage, config, processes, model, trunk, head, Clock(processes.device))


def sync_next(module: nn.Module, wanted: bool) -> None:
    """Say whether the next gradients of a module are brought together with other processes'."""
    if isinstance(module, DistributedDataParallel):
        module.require_backward_grad_sync = wanted


def on_device(seen: Seen, device: torch.device) -> Seen:
    """What is seen, on the device; what a cache keeps in half precision as the model reads it."""
    if isinstance(seen, Padded):
        return seen.to(device)
    if isinstance(seen, list):
        levels = [_as_read(level, device) for level in seen]
        # code compiled for photos of any size relies on it
        return [Padded(level.values.contiguous(), level.padding) for level in levels]
    arrays = (seen.logits, seen.cxcywh_norm, seen.state, seen.memory)
    levels = [_as_read(level, device) for level in seen.features]
    return Decoded(levels, *(a.to(device).float() for a in arrays))


def _as_read(padded: Padded, device: torch.device) -> Padded:
    """In autocast's type, else float32; a CPU is fast from and to float32 only."""
    values = padded.values.to(device).float().to(compute_type(device.type))
    return Padded(values, padded.padding.to(device))


def guesses_in_float32(output: Output) -> Output:
    """The same output; matching and losses need all digits of its guesses."""
    guesses = tuple(Guess(g.logits.float(), g.cxcywh_norm.float()) for g in output.guesses)
    return replace(output, guesses=guesses)


class Cut:
    """A cut through the graph behind the trunk: masks go backward to it, some at a time.

    Their gradients add up at the cut and go through the trunk once, with those of the boxes.
    """

    def __init__(self, output: Output) -> None:
        projected, features = output.projected, output.features
        self._tensors = [
            *(output.state, output.memory, projected.values),
            *(level.values for level in features),
        ]
        self._leaves = [t.detach().requires_grad_(t.requires_grad) for t in self._tensors]
        state, memory, values, *levels = self._leaves
        self.output = Output(
            output.guesses,
            state,
            memory,
            Padded(values, projected.padding),
            [Padded(v, level.padding) for v, level in zip(levels, features, strict=True)],
        )

    def backward(self, loss: Tensor) -> None:
        """Gradients of `loss` and of all that was learnt from the output behind the cut."""
        pairs = zip(self._tensors, self._leaves, strict=True)
        reached = [(t, leaf.grad) for t, leaf in pairs if leaf.grad is not None]
        torch.autograd.backward(
            [loss, *(t for t, _ in reached)], [None, *(gradient for _, gradient in reached)]
        )
