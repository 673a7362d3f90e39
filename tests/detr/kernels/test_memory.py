"""Out-of-memory errors name the setting to lower."""

from __future__ import annotations

import pytest
import torch

from base.errors import InputError
from detr.config import TrainConfig
from detr.kernels.memory import explained_memory_errors


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), "batch_size=4 accumulate=2"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "batch_size=4"),
        (MemoryError(), "lower batch_size, now 8"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), "num_workers"),
    ],
)
def test_out_of_memory_names_the_setting_to_lower(error: Exception, message: str) -> None:
    with (
        pytest.raises(InputError, match=message),
        explained_memory_errors(TrainConfig(batch_size=8)),
    ):
        raise error
    with pytest.raises(RuntimeError, match="shape"), explained_memory_errors(TrainConfig()):
        raise RuntimeError("shape mismatch")


def test_an_actual_out_of_memory_error_on_the_cpu_is_recognised() -> None:
    raises = pytest.raises(InputError, match="lower max_size and train_sizes, now up to 1333")
    with raises, explained_memory_errors(TrainConfig(batch_size=1)):
        torch.empty(1 << 60, dtype=torch.uint8)
