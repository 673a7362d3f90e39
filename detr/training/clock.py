"""Measuring how an epoch's time is spent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

import torch

T = TypeVar("T")


class Clock:
    """Seconds by part: data, forward, matching (including the losses of boxes), backward."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Add the duration of a block to a part."""
        start = self._now()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + self._now() - start

    def reading(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, and count the time spent waiting for them as "data"."""
        iterator = iter(items)
        while True:
            with self("data"):
                item = next(iterator, None)
            if item is None:
                return
            yield item

    def _now(self) -> float:
        if self._device.type == "cuda":  # kernels run asynchronously
            torch.cuda.synchronize(self._device)
        return perf_counter()
