"""Dividing an epoch's photos into steps, and reading them in batches."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from errno import ENOMEM, ENOSPC
from functools import cache
from math import ceil
from time import sleep
from typing import TypeVar

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from base.ctrl_c import ctrl_c_blocked
from base.errors import InputError
from detr.config import TrainConfig
from detr.data.batch import Batch
from detr.data.examples import Examples
from detr.data.padded import pad
from detr.data.targets import SegmentMap

Example = tuple[Tensor, SegmentMap]
T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One process's photos for one step of the optimiser, as a tuple of indices per batch."""

    batches: tuple[tuple[int, ...], ...]
    photos: int  # number of photos in all processes
    is_counted: bool  # False if the process repeats another's photo, because each needs one


@dataclass(frozen=True)
class ReadError:
    """A photo that could not be read; sent by a worker in place of the photo."""

    message: str


@dataclass(frozen=True)
class PickledBatch:
    """A batch for which shared memory had no space; sent by a worker as bytes."""

    data: bytes


def plan_steps(
    order: Sequence[int],
    config: TrainConfig,
    *,
    rank: int = 0,
    world: int = 1,
    divides_batch: bool = False,
) -> list[Step]:
    """Divide an epoch into steps.

    In each step, the processes together use the photos that a single process with batches `world`
    times as large would use or, with `divides_batch`, with batches of the same size.
    """
    size, step_size = config.batch_size, config.batch_size * config.accumulate
    if divides_batch:
        size = ceil(size / world)
    else:
        step_size *= world
    steps = []
    for start in range(0, len(order), step_size):
        photos = tuple(order[start : start + step_size])
        own = photos[rank::world] or photos[:1]
        batches = tuple(own[first : first + size] for first in range(0, len(own), size))
        steps.append(Step(batches, len(photos), is_counted=rank < len(photos)))
    return steps


def read_batches(examples: Examples, batches: Sequence[Sequence[int]]) -> Iterator[Batch]:
    """Read each batch of example indices, in `num_workers` other processes if configured.

    Batches come through shared memory or, if it is too small, as it often is in containers, through
    pipes. Raises InputError if a photo cannot be read, and RuntimeError if a worker was killed.
    """
    for batch in _until_worker_dies(_read(examples, batches)):
        if isinstance(batch, ReadError):
            raise InputError(batch.message)
        if isinstance(batch, PickledBatch):
            _print_once(
                "shared memory (/dev/shm) is full, so batches are sent through pipes, which is"
                " slower; give a container more with --shm-size, or set num_workers=0"
            )
            yield pickle.loads(batch.data)
        else:
            yield batch


def _until_worker_dies(batches: Iterator[T]) -> Iterator[T]:
    try:
        yield from batches
    except (EOFError, ConnectionError) as error:  # the worker died while it sent a batch
        sleep(1)  # until its death is reported: torch's handler of SIGCHLD raises RuntimeError
        raise RuntimeError("DataLoader worker exited unexpectedly") from error


def _read(
    examples: Examples, batches: Sequence[Sequence[int]]
) -> Iterator[Batch | ReadError | PickledBatch]:
    count = examples.config.num_workers
    try:
        with ctrl_c_blocked():  # the workers leave Ctrl-C to the training process
            return iter(_loader(examples, batches, count))
    except OSError as error:  # not even the locks of the processes fit into shared memory
        if not count or error.errno not in (ENOSPC, ENOMEM):
            raise
        _print_once(
            "photos are read without other processes, because shared memory (/dev/shm) is full;"
            " give a container more with --shm-size"
        )
        return iter(_loader(examples, batches, 0))


def _loader(
    examples: Examples, batches: Sequence[Sequence[int]], count: int
) -> DataLoader[Batch | ReadError | PickledBatch]:
    return DataLoader(
        _SafeExamples(examples),  # type: ignore[arg-type]
        batch_sampler=[list(batch) for batch in batches],
        num_workers=count,
        collate_fn=_collate_to_share if count else _collate,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # otherwise, it would advance training's random state
    )


@cache
def _print_once(line: str) -> None:
    print(line, flush=True)


@dataclass(frozen=True)
class _SafeExamples(Dataset[Example | ReadError]):
    """The examples; returns errors, because exceptions would reach the main process as text."""

    examples: Examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example | ReadError:
        try:
            return self.examples[index]
        except InputError as error:
            return ReadError(str(error))


def _collate(examples: list[Example | ReadError]) -> Batch | ReadError:
    """Make a batch of examples; if any could not be read, return the first error instead."""
    read: list[Example] = []
    for example in examples:
        if isinstance(example, ReadError):
            return example
        read.append(example)
    return Batch(pad([image for image, _ in read]), [segments for _, segments in read])


def _collate_to_share(examples: list[Example | ReadError]) -> Batch | ReadError | PickledBatch:
    """Make a batch in shared memory or, if it does not fit, as bytes.

    Otherwise, torch would copy it there in a thread of the worker, where an error loses the batch:
    the training would wait for it for ever.
    """
    batch = _collate(examples)
    if isinstance(batch, ReadError):
        return batch
    try:
        for tensor in batch.tensors():
            tensor.share_memory_()  # type: ignore[no-untyped-call]
    except (RuntimeError, OSError):
        return PickledBatch(pickle.dumps(batch))
    return batch


def _start_worker(_worker: int) -> None:
    """Use one thread; runs in the worker process, which ends with its epoch."""
    cv2.setNumThreads(0)
