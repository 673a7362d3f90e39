"""A backward pass through the mask head first and the trunk last, so that masks fit in memory."""

from __future__ import annotations

import torch
from torch import Tensor

from detr.data.padded import Padded
from detr.model.detr import Output


class DetachedOutput:
    """The trunk's output, detached from the trunk; `output` collects the mask head's gradients.

    The backward passes of masks, a few masks at a time, end at `output`. Their summed gradients
    then go through the trunk once, together with those of the boxes.
    """

    def __init__(self, output: Output) -> None:
        projected, features = output.projected, output.features
        self._attached = [
            *(output.embeddings, output.memory, projected.values),
            *(level.values for level in features),
        ]
        self._detached = [t.detach().requires_grad_(t.requires_grad) for t in self._attached]
        embeddings, memory, values, *levels = self._detached
        self.output = Output(
            output.layers,
            embeddings,
            memory,
            Padded(values, projected.padding),
            [Padded(v, level.padding) for v, level in zip(levels, features, strict=True)],
        )

    def backward(self, loss: Tensor) -> None:
        """Run the trunk's backward pass for `loss` and all gradients collected in `output`."""
        pairs = zip(self._attached, self._detached, strict=True)
        reached = [(tensor, leaf.grad) for tensor, leaf in pairs if leaf.grad is not None]
        torch.autograd.backward(
            [loss, *(tensor for tensor, _ in reached)], [None, *(grad for _, grad in reached)]
        )
