"""What a training would cost, from one real step of each stage; nothing is written."""

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

from base.memory import keep_freed_memory
from detr.config import TrainConfig
from detr.data.examples import Batch, Splits, read_splits
from detr.data.loader import Step, batches, plan
from detr.kernels.compiling import explained_compiler_errors
from detr.kernels.memory import explained_memory_errors
from detr.kernels.torch_private import fused_flop_counts
from detr.training.learner import Learner, Stage, start_learner
from detr.training.log import duration
from detr.training.optimizer import build_optimizer
from detr.training.processes import Processes, joined
from detr.training.schedule import stage_epochs
from detr.training.stage import build_model, set_training, step_losses


@dataclass(frozen=True)
class Cost:
    """Of one stage; memory in bytes, times in seconds."""

    stage: Stage
    parameters: int
    trained: int
    flops: int  # of a step, forward and backward
    memory: int
    step: float
    epoch: float  # of reading, training and testing
    epochs: int


def measure_costs(panoptic: Path, config: TrainConfig, stages: Sequence[Stage]) -> list[Cost]:
    """Measure the second step of each stage, with photos of the data set and fresh weights."""
    keep_freed_memory()
    splits = read_splits(panoptic)
    with joined() as processes, explained_memory_errors(config), explained_compiler_errors():
        return [_measure(splits, config, stage, processes) for stage in stages]


def _measure(splits: Splits, config: TrainConfig, stage: Stage, processes: Processes) -> Cost:
    torch.manual_seed(config.seed)
    model = build_model(config, len(splits.classes), stage, pretrained=False).to(processes.device)
    learner = start_learner(model, stage, config, processes)
    examples = splits.examples("train", config)
    examples = replace(examples, epoch=1, with_masks=stage != "boxes")
    steps = plan(torch.randperm(len(examples)).tolist(), config, world=processes.world)
    start = perf_counter()
    read = list(islice(batches(examples, steps[0].batches), len(steps[0].batches)))
    reading = (perf_counter() - start) / max(1, config.num_workers)

    optimizer = build_optimizer(model, config, lr=config.lr)
    _step(learner, optimizer, steps[0], read)  # the first one allocates and tunes
    start = perf_counter()
    _step(learner, optimizer, steps[0], read)
    step = perf_counter() - start
    with FlopCounterMode(display=False, custom_mapping=fused_flop_counts()) as counter:
        _step(learner, optimizer, steps[0], read)
    # testing goes forward only: about a third of a step
    tests = len(splits.test.photos) / steps[0].photos / 3
    overlapped = max(step, reading) if config.num_workers else step + reading
    return Cost(
        stage=stage,
        parameters=sum(p.numel() for p in model.parameters()),
        trained=sum(p.numel() for p in model.parameters() if p.requires_grad),
        flops=counter.get_total_flops(),
        memory=_peak_memory(processes.device),
        step=step,
        epoch=overlapped * (len(steps) + tests),
        epochs=stage_epochs(config, stage),
    )


def _step(
    learner: Learner, optimizer: torch.optim.Optimizer, step: Step, read: list[Batch]
) -> None:
    set_training(learner, True)
    optimizer.zero_grad()
    step_losses(learner, step, read)
    optimizer.step()
    if learner.processes.device.type == "cuda":
        torch.cuda.synchronize()


def _peak_memory(device: torch.device) -> int:
    """Most bytes in use so far: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def cost_table(costs: Sequence[Cost]) -> Table:
    """One column a stage, for the terminal."""
    table = Table(
        "", *(cost.stage for cost in costs), title="estimate from one step a stage, without cache"
    )
    rows = {
        "parameters": [f"{c.parameters / 1e6:.1f} M" for c in costs],
        "of them trained": [f"{c.trained / 1e6:.1f} M" for c in costs],
        "FLOPs a step": [f"{c.flops / 1e9:.1f} G" for c in costs],
        "peak memory": [f"{c.memory / 1e9:.2f} GB" for c in costs],
        "time a step": [f"{c.step:.2f} s" for c in costs],
        "time an epoch": [duration(c.epoch) for c in costs],
        "epochs": [str(c.epochs) for c in costs],
        "time in all": [duration(c.epoch * c.epochs) for c in costs],
    }
    for name, values in rows.items():
        table.add_row(name, *values)
    return table
