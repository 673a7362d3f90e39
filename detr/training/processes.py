"""Training by several processes, on one machine or many: started by torchrun, one a GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")

PATIENCE = timedelta(hours=2)  # the others wait so long while the first predicts and scores


@dataclass(frozen=True)
class Processes:
    """This process, number `rank` of `world`, and its device; only the first writes and speaks."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.world == 1:
            return values
        total = values.to(self.device, copy=True)
        distributed.all_reduce(total)
        return total.to(values.device)

    def wait(self) -> None:
        """Until all processes are here."""
        self.sum(torch.zeros(1))

    def told(self, value: T) -> T:
        """What the first process has, for all."""
        box = [value]
        if self.world > 1:
            distributed.broadcast_object_list(box, device=self.device)
        return box[0]

    def share(self, module: nn.Module) -> nn.Module:
        """The module with gradients that are means over all processes."""
        if self.world == 1:
            return module
        return DistributedDataParallel(module, broadcast_buffers=False)


@contextmanager
def joined() -> Iterator[Processes]:
    """The processes that torchrun started; this one alone where it did not."""
    rank, world = (int(os.environ.get(name, d)) for name, d in (("RANK", 0), ("WORLD_SIZE", 1)))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    if world == 1:
        yield Processes(rank, world, device)
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Processes(rank, world, device)
    finally:
        distributed.destroy_process_group()
