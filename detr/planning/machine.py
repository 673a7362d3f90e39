"""The machine that trains."""

from __future__ import annotations

from dataclasses import dataclass

import psutil
import torch

from base.counting import counted
from base.workers import count_cores
from detr.training.processes import Processes


@dataclass(frozen=True)
class Machine:
    """What each training process can use; memory in bytes, of the GPU if there is one."""

    cores: int
    memory: int
    gpu: str | None = None
    world: int = 1  # training processes
    batches: int = 1  # that all processes read at the same time

    def __str__(self) -> str:
        """Describe the machine in a few words."""
        each = f"{self.world} x " if self.batches > 1 else ""
        memory = f"{self.memory / 1e9:.0f} GB of memory available"
        if self.gpu:
            return f"{each}{self.gpu}, {memory}"
        return f"{each}CPU, {counted(self.cores, 'core')}, {memory}"


def this_machine(processes: Processes) -> Machine:
    """Measure the machine of the first process."""
    cores, memory, gpu = count_cores(), psutil.virtual_memory().available, None
    if processes.device.type == "cuda":
        gpu = torch.cuda.get_device_name(processes.device)
        memory = torch.cuda.mem_get_info(processes.device)[0]
    return processes.broadcast(Machine(cores, memory, gpu, processes.world, processes.batches))
