"""Linear layers and dropout that are the same as torch's, and faster on a CPU.

torch multiplies matrices with MKL, which is slow on other makers' processors, and convolves with
oneDNN, which is not: a linear layer is a convolution of size 1. And torch draws dropout with a
generator that takes longer than the layer beside it. On a GPU torch's own are used.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(B, N, I) to (B, N, O) by a weight (O, I) and a bias (O,)."""
    if x.is_cuda or torch.compiler.is_compiling():
        return F.linear(x, weight, bias)
    columns = x.transpose(1, 2)[:, :, None]  # (B, I, 1, N): channels-last without a copy
    return F.conv2d(columns, weight[:, :, None, None], bias)[:, :, 0].transpose(1, 2)


def dropout(x: Tensor, share: float) -> Tensor:
    """`x` with a `share` of its values set to zero and the others raised to make up for it."""
    if share == 0 or x.is_cuda or torch.compiler.is_compiling():
        return F.dropout(x, share)
    kept = torch.rand(x.shape, device=x.device).ge_(share)  # half precision would miss the share
    return x * kept.mul_(1 / (1 - share) if share < 1 else 0).to(x.dtype)


class Linear(nn.Linear):
    """torch's parameters."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


class Dropout(nn.Dropout):
    """In training only."""

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p) if self.training else input


class Attention(nn.MultiheadAttention):
    """torch's parameters; without weights as a result, batch first."""

    def forward(  # type: ignore[override]
        self, asking: Tensor, seen: Tensor, values: Tensor, hidden: Tensor | None = None
    ) -> Tensor:
        """Asking (B, N, D), seen and values (B, S, D), hidden (B, S) bool to (B, N, D)."""
        query, key = self._project(asking, seen)
        value = self._heads(self._part(values, 2, 3))
        if self.training and not asking.is_cuda:
            found = self._attend(query, key, value, hidden)
        else:
            shown = None if hidden is None else ~hidden[:, None, None]
            share = self.dropout if self.training else 0.0
            found = F.scaled_dot_product_attention(query, key, value, shown, share)
        together = found.transpose(1, 2).flatten(2)
        return linear(together, self.out_proj.weight, self.out_proj.bias)

    def _project(self, asking: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys, in one go where the same asks and is seen."""
        if asking is seen:
            query, key = self._part(asking, 0, 2).chunk(2, dim=-1)
        else:
            query, key = self._part(asking, 0, 1), self._part(seen, 1, 2)
        return self._heads(query), self._heads(key)

    def _part(self, x: Tensor, first: int, end: int) -> Tensor:
        """The projections `first` to `end` of query, key and value."""
        rows = slice(first * self.embed_dim, end * self.embed_dim)
        return linear(x, self.in_proj_weight[rows], self.in_proj_bias[rows])

    def _heads(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, heads, N, D / heads)."""
        return x.view(*x.shape[:2], self.num_heads, -1).transpose(1, 2)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None) -> Tensor:
        """torch has no fused attention with dropout for a CPU; this is its formula."""
        weights = (query * query.shape[-1] ** -0.5) @ key.transpose(2, 3)
        if hidden is not None:
            weights = weights.masked_fill(hidden[:, None, None], float("-inf"))
        return dropout(weights.softmax(-1), self.dropout) @ value
