"""The processes that train together, and joining those that torchrun has started."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from detr.config import TrainConfig
from detr.data.loader import Step, plan_steps

T = TypeVar("T")

TIMEOUT = timedelta(hours=2)  # the others wait while the first process predicts and scores


@dataclass(frozen=True)
class Processes:
    """This process, number `rank` of `world`, and its device.

    Only the first process writes files and prints. Each process reads batches of the configured
    size, or, with `divides_batch`, its part of such a batch.
    """

    rank: int
    world: int
    device: torch.device
    divides_batch: bool = False

    @property
    def batches(self) -> int:
        """The number of batches of the configured size that all processes read at the same time."""
        return 1 if self.divides_batch else self.world

    def plan_steps(self, order: Sequence[int], config: TrainConfig) -> list[Step]:
        """Divide an epoch of photos in this order into the steps of this process."""
        return plan_steps(
            order, config, rank=self.rank, world=self.world, divides_batch=self.divides_batch
        )

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes, on the tensor's own device."""
        if self.world == 1:
            return values
        total = values.to(self.device, copy=True)
        distributed.all_reduce(total)
        return total.to(values.device)

    def barrier(self) -> None:
        """Wait until all processes have reached this call."""
        self.sum(torch.zeros(1))

    def broadcast(self, value: T) -> T:
        """Return the first process's value in all processes."""
        values = [value]
        if self.world > 1:
            distributed.broadcast_object_list(values, device=self.device)
        return values[0]

    def gather(self, value: T) -> list[T]:
        """Return the values of all processes, in all processes."""
        values = [value] * self.world
        if self.world > 1:
            distributed.all_gather_object(values, value)
        return values

    @contextmanager
    def all_threads(self) -> Iterator[None]:
        """Use the cores of the other processes of this machine too, while they wait."""
        own = torch.get_num_threads()
        if self.divides_batch:
            torch.set_num_threads(own * self.world)
        try:
            yield
        finally:
            torch.set_num_threads(own)

    def distribute(self, module: nn.Module) -> nn.Module:
        """Wrap a module so that its gradients become means over all processes."""
        if self.world == 1:
            return module
        return DistributedDataParallel(module, broadcast_buffers=False)


def set_gradient_sync(module: nn.Module, enabled: bool) -> None:
    """Choose whether a module's next backward pass averages gradients over the processes."""
    if isinstance(module, DistributedDataParallel):
        # the public attribute that DistributedDataParallel.no_sync sets; its context manager cannot
        # be used, because forward and backward passes of several parts alternate here
        module.require_backward_grad_sync = enabled


@contextmanager
def join_processes() -> Iterator[Processes]:
    """Join the processes that torchrun started; without torchrun, yield this process alone."""
    rank, world = (int(os.environ.get(name, d)) for name, d in (("RANK", 0), ("WORLD_SIZE", 1)))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    if world == 1:
        yield Processes(rank, world, device)
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield Processes(rank, world, device)
    finally:
        distributed.destroy_process_group()
