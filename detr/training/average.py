"""The moving average of the trained weights, which testing and prediction use if it is enabled.

`torch.optim.swa_utils.AveragedModel` is not used because it changes the results: its first update
replaces the initial weights instead of averaging with them. It also copies frozen weights, and the
copy would have to be compiled and distributed a second time to be tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from base.errors import InputError
from detr.kernels.torch_private import lerp_all_


class WeightAverage:
    """Exponential moving averages of a model's trained weights; does nothing with a decay of 0."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        named = model.named_parameters() if decay else ()
        self._trained = {name: p for name, p in named if p.requires_grad}
        self._averages = {name: p.detach().clone() for name, p in self._trained.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Include the weights after step 0, 1, 2, ...; early averages cover only a few steps."""
        if self._trained:
            decay = min(self._decay, (1 + step) / (10 + step))
            weights = [p.detach() for p in self._trained.values()]
            lerp_all_(list(self._averages.values()), weights, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[dict[str, Tensor]]:
        """Replace the model's weights by their averages for the duration of the block.

        Yields the model's own weights by name, or an empty dict with a decay of 0.
        """
        own = {name: p.detach().clone() for name, p in self._trained.items()}
        self._write(self._averages)
        try:
            yield own
        finally:
            self._write(own)

    @torch.no_grad()
    def resume(self, own: dict[str, Tensor], *, where: str) -> None:
        """Take the averages from a loaded model and restore its own weights.

        Raises InputError, which names `where`, if `own` lacks some of them.
        """
        for name, parameter in self._trained.items():
            if name not in own or own[name].shape != parameter.shape:
                raise InputError(
                    f"{where}: unaveraged: expected {name} of size {tuple(parameter.shape)}"
                )
        self._averages = {name: p.detach().clone() for name, p in self._trained.items()}
        self._write({name: own[name] for name in self._trained})

    @torch.no_grad()
    def _write(self, weights: dict[str, Tensor]) -> None:
        for name, parameter in self._trained.items():
            parameter.copy_(weights[name])
