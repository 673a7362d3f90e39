"""Which photos each step of an epoch sees, and reading them."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from base.errors import InputError
from detr.config import TrainConfig
from detr.data.examples import Batch, Examples, SegmentMap
from detr.data.padded import pad


@dataclass(frozen=True)
class Step:
    """Photos of one process for one step of the optimiser, by index, a batch after the other."""

    batches: tuple[tuple[int, ...], ...]
    photos: int  # of all processes
    counts: bool  # False: only computed so that no other process waits in vain


def plan(order: Sequence[int], config: TrainConfig, *, rank: int = 0, world: int = 1) -> list[Step]:
    """Cut an epoch into steps; all processes' photos of a step are those that one would take."""
    size = config.batch_size
    together = size * config.accumulate * world
    steps = []
    for cut in range(0, len(order), together):
        photos = tuple(order[cut : cut + together])
        own = photos[rank::world] or photos[:1]
        cuts = range(0, len(own), size)
        batches = tuple(own[first : first + size] for first in cuts)
        steps.append(Step(batches, len(photos), counts=rank < len(photos)))
    return steps


def batches(examples: Examples, cuts: Sequence[Sequence[int]]) -> Iterator[Batch]:
    """Batches of the examples with the indices `cuts`, read by other processes if asked for."""
    loader: DataLoader[Batch] = DataLoader(
        examples,  # type: ignore[arg-type]
        batch_sampler=[list(cut) for cut in cuts],
        num_workers=examples.config.num_workers,
        collate_fn=_collate,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # else the loader draws from the training's chance
    )
    try:
        yield from loader
    except InputError as error:  # a worker's comes with its traceback before it
        raise InputError(str(error).rpartition("InputError: ")[2].strip()) from None


def _collate(examples: list[tuple[Tensor, SegmentMap]]) -> Batch:
    return Batch(pad([image for image, _ in examples]), [segments for _, segments in examples])


def _start_worker(worker: int) -> None:
    """Ctrl-C is the training process's to handle; one thread a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)
