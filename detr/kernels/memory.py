"""Training that needs more memory than there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from base.errors import InputError
from detr.config import TrainConfig

_EXHAUSTED = ("can't allocate memory", "not enough memory", "out of memory")  # torch's words


@contextmanager
def says_what_to_lower(config: TrainConfig) -> Iterator[None]:
    """Out of memory, on the GPU or off it, becomes an InputError that names what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error)
        if "DataLoader worker" in text and "killed" in text:
            raise InputError(
                "a process that reads photos was killed, as systems do when memory runs out;"
                f" lower num_workers, now {config.num_workers}"
            ) from None
        exhausted = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not exhausted and not any(words in text for words in _EXHAUSTED):
            raise
        raise InputError(_advice(config)) from None


def _advice(config: TrainConfig) -> str:
    """The setting to lower that costs least."""
    most = max(config.max_size, *config.train_sizes)
    if config.batch_size > 1:
        half = config.batch_size // 2
        accumulate = config.accumulate * config.batch_size // half
        first = (
            f"lower batch_size, now {config.batch_size} (batch_size={half} accumulate={accumulate}"
            " trains the same)"
        )
    else:
        first = f"lower max_size and train_sizes, now up to {most} pixels"
    others = f"max_size and train_sizes, up to {most} pixels, num_queries, {config.num_queries}"
    return f"out of memory: {first}; after that {others}"
