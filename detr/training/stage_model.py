"""The model that a stage trains, as training calls it.

It is called in two parts: the trunk, which predicts classes and boxes, and the mask head, which
runs on a few queries at a time. The trunk may be compiled, and both parts may be distributed over
several processes.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from detr.config import TrainConfig
from detr.data.batch import CachedOutput
from detr.data.classes import ClassTable
from detr.data.kinds import kinds_of
from detr.data.padded import Padded
from detr.kernels.derived_weights import compute_dtype
from detr.model.detr import DETR, LayerOutput, Output
from detr.model.fast.detr import FastDETR
from detr.model.segmentation import DETRsegm
from detr.training.clock import Clock
from detr.training.precision import autocast
from detr.training.processes import Processes

Stage = Literal["boxes", "masks", "joint"]
STAGES: tuple[Stage, ...] = ("boxes", "masks", "joint")
Inputs = Padded | list[Padded] | CachedOutput  # as in `Batch`


class Trunk(nn.Module):
    """The model without its mask head, for photos or for cached outputs."""

    def __init__(self, detr: DETR) -> None:
        super().__init__()
        self.detr = detr

    def forward(self, inputs: Inputs) -> Output:
        """Predict classes and boxes; the output also holds the inputs of the mask head."""
        if isinstance(inputs, Padded):
            output: Output = self.detr(inputs)
            return output
        if isinstance(inputs, list):
            return self.detr.detect(inputs)
        last = inputs.features[-1]
        projected = Padded(self.detr.input_proj(last.values), last.padding)
        pairs = zip(inputs.logits, inputs.cxcywh_norm, strict=True)
        layers = tuple(LayerOutput(*pair) for pair in pairs)
        return Output(layers, inputs.embeddings, inputs.memory, projected, inputs.features)


class MaskHead(nn.Module):
    """The mask head alone, so that distributed training does not wait for other gradients."""

    def __init__(self, model: DETRsegm) -> None:
        super().__init__()
        self.parts = nn.ModuleList([model.bbox_attention, model.mask_head])
        self._model = (model,)  # in a tuple, where nn.Module does not look for parameters

    def forward(self, output: Output, photo: Tensor, query: Tensor) -> Tensor:
        """Return mask logits (K, H/4, W/4) of queries `query` (K,) of photos `photo` (K,)."""
        return self._model[0].masks(output, photo, query)


@dataclass(frozen=True)
class StageModel:
    """The model of a stage and the two parts that training calls; `head` is None without masks.

    A `FastDETR`, whose masks are computed in its losses, is its own trunk and has no head.
    """

    stage: Stage
    config: TrainConfig
    processes: Processes
    module: DETR | DETRsegm | FastDETR
    trunk: nn.Module
    head: nn.Module | None
    clock: Clock

    @property
    def detr(self) -> DETR:
        """The box model of the published variant."""
        assert not isinstance(self.module, FastDETR)
        return self.module if isinstance(self.module, DETR) else self.module.detr

    @property
    def trained_parameters(self) -> list[nn.Parameter]:
        """The parameters that are not frozen."""
        return [p for p in self.module.parameters() if p.requires_grad]

    def set_training(self, enabled: bool) -> None:
        """Switch between training and evaluation mode; a frozen trunk stays in evaluation mode."""
        self.module.train(enabled)
        if self.stage == "masks":
            self.detr.eval()

    def autocast(self) -> AbstractContextManager[object]:
        """Compute in the configured precision."""
        return autocast(self.processes.device.type, self.config.precision)


def build_module(
    config: TrainConfig, classes: ClassTable, stage: Stage, *, pretrained: bool
) -> DETR | DETRsegm | FastDETR:
    """Build the model of a stage; in the masks stage, its box model is frozen."""
    if config.variant == "fast":
        return FastDETR(config, kinds_of(classes), pretrained=pretrained)
    detr = DETR(config, len(classes), pretrained=pretrained)
    if stage == "boxes":
        return detr
    if stage == "masks":
        detr.requires_grad_(False)
    return DETRsegm(detr, config)


def prepare_model(
    module: DETR | DETRsegm | FastDETR, stage: Stage, config: TrainConfig, processes: Processes
) -> StageModel:
    """Compile the trunk if configured, and distribute both parts; not if the trunk is frozen."""
    trunk: nn.Module
    if isinstance(module, FastDETR):
        trunk = processes.distribute(module)
        return StageModel(stage, config, processes, module, trunk, None, Clock(processes.device))
    trunk = Trunk(module if isinstance(module, DETR) else module.detr)
    head: nn.Module | None = MaskHead(module) if isinstance(module, DETRsegm) else None
    if config.compile and stage != "masks":
        trunk.compile(dynamic=True)
    trunk = trunk if stage == "masks" else processes.distribute(trunk)
    head = processes.distribute(head) if head else None
    return StageModel(stage, config, processes, module, trunk, head, Clock(processes.device))


def to_device(inputs: Inputs, device: torch.device) -> Inputs:
    """Move a batch's inputs to the device; convert cached half-precision values for the layers."""
    if isinstance(inputs, Padded):
        return inputs.to(device)
    if isinstance(inputs, list):
        levels = [_in_compute_dtype(level, device) for level in inputs]
        # code compiled for photos of any size relies on contiguous values
        return [Padded(level.values.contiguous(), level.padding) for level in levels]
    arrays = (inputs.logits, inputs.cxcywh_norm, inputs.embeddings, inputs.memory)
    levels = [_in_compute_dtype(level, device) for level in inputs.features]
    return CachedOutput(levels, *(array.to(device).float() for array in arrays))


def _in_compute_dtype(padded: Padded, device: torch.device) -> Padded:
    """Convert to autocast's dtype or float32, via float32, because CPUs do this fastest."""
    values = padded.values.to(device).float().to(compute_dtype(device.type))
    return Padded(values, padded.padding.to(device))
