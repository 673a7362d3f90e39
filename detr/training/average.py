"""The exponential moving average of the weights: what is tested and predicts, if asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Averages of all trained weights of a model."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._averages = {n: p.detach().clone() for n, p in self._trained.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step 0, 1, 2, ...; the first averages are over few steps."""
        decay = min(self._decay, (1 + step) / (10 + step))
        weights = [p.detach() for p in self._trained.values()]
        torch._foreach_lerp_(list(self._averages.values()), weights, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[dict[str, Tensor]]:
        """The model has the averages meanwhile; yields its own weights by name."""
        own = {n: p.detach().clone() for n, p in self._trained.items()}
        self._write(self._averages)
        try:
            yield own
        finally:
            self._write(own)

    @torch.no_grad()
    def go_on(self, own: dict[str, Tensor]) -> None:
        """A loaded model holds the averages: keep them, and give it its own weights back."""
        self._averages = {n: p.detach().clone() for n, p in self._trained.items()}
        self._write(own)

    @torch.no_grad()
    def _write(self, weights: dict[str, Tensor]) -> None:
        for name, parameter in self._trained.items():
            parameter.copy_(weights[name])
