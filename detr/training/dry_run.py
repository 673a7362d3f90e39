"""The estimated cost of training, measured on real steps of each stage; nothing is written."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from time import perf_counter

import torch
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from base.durations import duration
from base.memory import keep_freed_memory
from detr.config import TrainConfig
from detr.data.batch import Batch
from detr.data.loader import Step, plan_steps, read_batches
from detr.data.splits import Splits, read_splits
from detr.kernels.compiling import explained_compiler_errors
from detr.kernels.memory import explained_memory_errors
from detr.kernels.torch_private import fused_flop_counts
from detr.training.batch_losses import step_losses
from detr.training.optimizer import build_optimizer
from detr.training.processes import Processes, join_processes
from detr.training.schedule import stage_epochs
from detr.training.stage_model import Stage, StageModel, build_module, prepare_model


@dataclass(frozen=True)
class Cost:
    """The cost of one stage; memory in bytes, times in seconds."""

    stage: Stage
    parameters: int
    trained_parameters: int
    step_flops: int  # forward and backward
    peak_memory: int
    step_seconds: float
    epoch_seconds: float  # reading, training and testing
    epochs: int


def estimate_costs(panoptic: Path, config: TrainConfig, stages: Sequence[Stage]) -> list[Cost]:
    """Time the second step of each stage, with photos from the data set and random weights.

    Raises InputError if a photo cannot be read, if memory runs out, or if compiling fails.
    """
    keep_freed_memory()
    splits = read_splits(panoptic)
    with (
        join_processes() as processes,
        explained_memory_errors(config),
        explained_compiler_errors(),
    ):
        return [_stage_cost(splits, config, stage, processes) for stage in stages]


def _stage_cost(splits: Splits, config: TrainConfig, stage: Stage, processes: Processes) -> Cost:
    torch.manual_seed(config.seed)
    module = build_module(config, splits.classes, stage, pretrained=False)
    model = prepare_model(module.to(processes.device), stage, config, processes)
    examples = splits.examples("train", config)
    examples = replace(examples, epoch=1, with_masks=stage != "boxes")
    steps = plan_steps(torch.randperm(len(examples)).tolist(), config, world=processes.world)
    start = perf_counter()
    indices = steps[0].batches
    batches = list(islice(read_batches(examples, indices), len(indices)))
    reading = (perf_counter() - start) / max(1, config.num_workers)

    optimizer = build_optimizer(module, config, lr=config.lr)
    _train_step(model, optimizer, steps[0], batches)  # the first step also allocates and tunes
    start = perf_counter()
    _train_step(model, optimizer, steps[0], batches)
    step = perf_counter() - start
    with FlopCounterMode(display=False, custom_mapping=fused_flop_counts()) as counter:
        _train_step(model, optimizer, steps[0], batches)
    # testing has no backward pass, so it takes a third of the time of training
    test_steps = len(splits.test.photos) / steps[0].photos / 3
    overlapped = max(step, reading) if config.num_workers else step + reading
    return Cost(
        stage=stage,
        parameters=sum(p.numel() for p in module.parameters()),
        trained_parameters=sum(p.numel() for p in model.trained_parameters),
        step_flops=counter.get_total_flops(),
        peak_memory=_peak_memory(processes.device),
        step_seconds=step,
        epoch_seconds=overlapped * (len(steps) + test_steps),
        epochs=stage_epochs(config, stage),
    )


def _train_step(
    model: StageModel, optimizer: torch.optim.Optimizer, step: Step, batches: list[Batch]
) -> None:
    model.set_training(True)
    optimizer.zero_grad()
    step_losses(model, step, batches)
    optimizer.step()
    if model.processes.device.type == "cuda":
        torch.cuda.synchronize()


def _peak_memory(device: torch.device) -> int:
    """Return the peak memory use in bytes: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def cost_table(costs: Sequence[Cost]) -> Table:
    """Format the costs as a table for the terminal, one column per stage."""
    title = "estimate from one step per stage, without the feature cache"
    table = Table("", *(cost.stage for cost in costs), title=title)
    rows = {
        "parameters": [f"{c.parameters / 1e6:.1f} M" for c in costs],
        "trained parameters": [f"{c.trained_parameters / 1e6:.1f} M" for c in costs],
        "FLOPs per step": [f"{c.step_flops / 1e9:.1f} G" for c in costs],
        "peak memory": [f"{c.peak_memory / 1e9:.2f} GB" for c in costs],
        "time per step": [f"{c.step_seconds:.2f} s" for c in costs],
        "time per epoch": [duration(c.epoch_seconds) for c in costs],
        "epochs": [str(c.epochs) for c in costs],
        "total time": [duration(c.epoch_seconds * c.epochs) for c in costs],
    }
    for name, values in rows.items():
        table.add_row(name, *values)
    return table
