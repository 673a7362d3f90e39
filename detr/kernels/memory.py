"""Out-of-memory errors that name the setting to lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from base.errors import InputError
from detr.config import TrainConfig

_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")  # torch's messages
_DIED = ("killed", "exited unexpectedly")  # in torch's messages about a worker


@contextmanager
def explained_memory_errors(config: TrainConfig) -> Iterator[None]:
    """Raise InputError when memory runs out, on the GPU or the CPU, saying which setting to lower.

    This includes data-loading processes that are killed by the operating system.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        if "DataLoader worker" in text and any(word in text for word in _DIED):
            raise InputError(
                "a data-loading process was killed, probably because memory ran out; lower"
                f" num_workers, now {config.num_workers}"
            ) from None
        if not _is_out_of_memory(error):
            raise
        raise InputError(_advice(config)) from None


@contextmanager
def explained_prediction_errors(config: TrainConfig) -> Iterator[None]:
    """Raise InputError when memory runs out while a model predicts."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise InputError(
            f"out of memory: free memory, or train with a lower max_size, now {config.max_size}"
        ) from None


def _is_out_of_memory(error: Exception) -> bool:
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(message in str(error) for message in _OUT_OF_MEMORY)


def _advice(config: TrainConfig) -> str:
    """Name the settings to lower, starting with the one that affects the results least."""
    if config.variant == "fast":
        sizes = f"min_size and max_size, now {config.min_size} and {config.max_size} pixels"
    else:
        longest = max(config.max_size, *config.train_sizes)
        sizes = f"max_size and train_sizes, now up to {longest} pixels"
    queries = f"num_queries, now {config.num_queries}"
    if config.batch_size == 1:
        return f"out of memory: lower {sizes}; if that is not enough, lower {queries}"
    half = config.batch_size // 2
    accumulate = config.accumulate * config.batch_size // half
    return (
        f"out of memory: lower batch_size, now {config.batch_size} (batch_size={half}"
        f" accumulate={accumulate} gives the same training); if that is not enough, lower {sizes},"
        f" or {queries}"
    )
