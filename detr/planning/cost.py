"""The cost of a training step, measured on real steps of each stage; nothing is written."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter

import torch
from torch.utils.flop_counter import FlopCounterMode

from base.memory import keep_freed_memory
from detr.config import TrainConfig
from detr.data.batch import Batch
from detr.data.loader import Step, read_batches
from detr.data.memory import PhotoMemory, fits_in_memory
from detr.data.splits import Splits
from detr.kernels.compiling import explained_compiler_errors
from detr.kernels.memory import explained_memory_errors
from detr.kernels.torch_private import fused_flop_counts
from detr.training.batch_losses import step_losses
from detr.training.optimizer import build_optimizer
from detr.training.processes import Processes
from detr.training.stage_model import Stage, StageModel, build_module, prepare_model

MEASURED_STEPS, MEASURED_SECONDS = 6, 2.5  # at most, in each of two rounds


@dataclass(frozen=True)
class StepCost:
    """The cost of one step of a stage; memory in bytes, times in seconds."""

    stage: Stage
    parameters: int
    trained_parameters: int
    photos: int  # in all processes
    seconds: float  # without reading the photos
    reading_seconds: float  # in one process, from disk
    kept_seconds: float | None  # reading photos kept in memory; None if they do not fit
    peak_memory: int
    flops: int | None = None  # forward and backward, if they were counted


def measure_steps(
    splits: Splits,
    config: TrainConfig,
    stages: Sequence[Stage],
    processes: Processes,
    *,
    count_flops: bool = False,
) -> tuple[StepCost, ...]:
    """Time a few steps of each stage, with photos from the data set and random weights.

    All processes measure together and return the times of the first. Raises InputError if a photo
    cannot be read, if memory runs out, or if compiling fails.
    """
    keep_freed_memory()
    with explained_memory_errors(config), explained_compiler_errors():
        costs = [_measure(splits, config, stage, processes, count_flops) for stage in stages]
    return processes.broadcast(tuple(costs))


def _measure(
    splits: Splits, config: TrainConfig, stage: Stage, processes: Processes, count_flops: bool
) -> StepCost:
    torch.manual_seed(config.seed)
    module = build_module(config, splits.classes, stage, pretrained=False)
    model = prepare_model(module.to(processes.device), stage, config, processes)
    in_process = replace(config, num_workers=0)
    examples = splits.examples("train", in_process)
    examples = replace(examples, epoch=1, with_masks=stage != "boxes")
    order = torch.randperm(len(examples)).tolist()
    steps = processes.plan_steps(order, config)
    steps = [step for step in steps if step.photos == steps[0].photos]  # the last may be smaller
    steps = (steps * MEASURED_STEPS)[:MEASURED_STEPS]
    fits = fits_in_memory(examples.panoptic, processes=processes.world)
    examples = replace(examples, memory=PhotoMemory(keeps=True))
    start = perf_counter()
    read = [list(read_batches(examples, step.batches)) for step in steps]
    reading = (perf_counter() - start) / len(steps)
    start = perf_counter()
    for step in steps:
        list(read_batches(examples, step.batches))
    kept = (perf_counter() - start) / len(steps)

    optimizer = build_optimizer(module, config, lr=config.lr)

    def timed_step(index: int) -> float:
        start = perf_counter()
        _train_step(model, optimizer, steps[index], read[index])
        return perf_counter() - start

    timed_step(0)  # the first step also allocates and tunes
    first = timed_step(0)
    count = processes.broadcast(min(len(steps), max(1, int(MEASURED_SECONDS / first))))
    # the shorter of two times of a step, because another program may disturb one of them
    rounds = [[timed_step(n) for n in range(count)] for _ in range(2)]
    times = [min(pair) for pair in zip(*rounds, strict=True)]
    flops = None
    if count_flops:
        with FlopCounterMode(display=False, custom_mapping=fused_flop_counts()) as counter:
            _train_step(model, optimizer, steps[0], read[0])
        flops = counter.get_total_flops()
    return StepCost(
        stage=stage,
        parameters=sum(p.numel() for p in module.parameters()),
        trained_parameters=sum(p.numel() for p in model.trained_parameters),
        photos=steps[0].photos,
        seconds=median(times),
        reading_seconds=reading,
        kept_seconds=kept if fits else None,
        peak_memory=_peak_memory(processes.device),
        flops=flops,
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
