"""Layers and dropout that are the same as torch's, and faster on a CPU.

torch multiplies float32 matrices with MKL, which is slow on other makers' processors, and convolves
with oneDNN, which is not: a linear layer is a convolution of size 1. And torch draws dropout with a
generator that takes longer than the layer beside it. On a GPU torch's own are used.

What layers compute with is made of frozen weights once, and kept beside the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LARGE = 8_000_000  # multiplications; below, a convolution takes longer to begin than it saves
_KEPT: WeakKeyDictionary[nn.Module, _Kept] = WeakKeyDictionary()
Made = TypeVar("Made")


@dataclass(frozen=True)
class _Kept:
    """What was `made` of parts; their values are held, so that no others come to lie there."""

    parts: Sequence[Tensor]
    values: list[Tensor]
    state: list[Any]
    made: Any


def compute_type(device: str) -> torch.dtype:
    """What layers compute in on "cpu" or "cuda": autocast's type, else float32."""
    lower = torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if lower else torch.float32


def kept(
    module: nn.Module,
    parts: Sequence[Tensor],
    make: Callable[[torch.dtype], Made],
) -> Made | None:
    """What `make` makes, in the compute type, of a frozen module's `parts`.

    It is made once, and again where torch says that one of them changed; a change through `.data`
    in place it does not tell. None where they are not frozen, or of a kind whose changes are not
    told.
    """
    if torch.compiler.is_compiling():
        return None
    first = parts[0]
    usual = first.device.type in ("cpu", "cuda") and first.dtype == torch.float32
    inference = torch.is_inference_mode_enabled() or any(part.is_inference() for part in parts)
    if not usual or inference or any(part.requires_grad for part in parts):
        _KEPT.pop(module, None)  # an optimiser does not count its step as a change
        return None
    dtype = compute_type(first.device.type)
    state = [dtype, *((part.data_ptr(), part._version) for part in parts)]
    old = _KEPT.get(module)
    same = old is not None and all(a is b for a, b in zip(old.parts, parts, strict=True))
    if old is None or not same or old.state != state:
        with torch.no_grad():
            old = _KEPT[module] = _Kept(
                parts, [part.detach() for part in parts], state, make(dtype)
            )
    made: Made = old.made
    return made


def as_computed(module: nn.Module, *weights: Tensor) -> tuple[Tensor, ...]:
    """A module's weights; frozen ones in autocast's type, which would cast them at every call."""
    made = kept(module, weights, lambda dtype: tuple(weight.to(dtype) for weight in weights))
    return weights if made is None else made


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(B, N, I) to (B, N, O) by a weight (O, I) and a bias (O,)."""
    if torch.compiler.is_compiling() or x.is_cuda or torch.is_autocast_enabled("cpu"):
        return F.linear(x, weight, bias)
    if len(x) * x.shape[1] * weight.numel() < _LARGE:
        return F.linear(x, weight, bias)
    columns = x.transpose(1, 2).unsqueeze(2)  # (B, I, 1, N): channels-last without a copy
    # squeezed, not indexed: the gradient of an index is an array of zeros that is then filled
    return F.conv2d(columns, weight[:, :, None, None], bias).squeeze(2).transpose(1, 2)


def dropout(x: Tensor, share: float) -> Tensor:
    """`x` with a `share` of its values set to zero and the others raised to make up for it."""
    if share in (0, 1) or x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, share)
    # one draw of 64 bits decides over four values, each by a number from -2^15 to 2^15 - 1
    draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64)
    numbers = draws.random_(-(2**63), None).view(torch.int16)[: x.numel()].view(x.shape)
    stays = (numbers >= round(share * 2**16) - 2**15).to(x.dtype)
    return x * stays.mul_(1 / (1 - share))


class Linear(nn.Linear):
    """torch's parameters."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, *as_computed(self, self.weight, self.bias))


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
        last = self.out_proj
        weight, bias, *outwards = as_computed(
            self, self.in_proj_weight, self.in_proj_bias, last.weight, last.bias
        )
        parts = self._project(asking, seen, values, weight, bias)
        query, key, value = map(self._heads, parts)
        share = self.dropout if self.training else 0.0
        # torch's fused attention knows no dropout on a CPU, and is slow in bfloat16 there
        if not asking.is_cuda and (self.training or query.dtype == torch.bfloat16):
            found = self._attend(query, key, value, hidden, share)
        else:
            shown = None if hidden is None else ~hidden[:, None, None]
            found = F.scaled_dot_product_attention(query, key, value, shown, share)
        together = found.transpose(1, 2).flatten(2)
        return linear(together, *outwards)

    def _project(
        self, asking: Tensor, seen: Tensor, values: Tensor, weight: Tensor, bias: Tensor
    ) -> tuple[Tensor, ...]:
        """Queries, keys and values; the first two in one go where the same asks and is seen."""
        itself = asking is seen
        inputs = [asking, values] if itself else [asking, seen, values]
        dim = self.embed_dim
        sizes = [2 * dim, dim] if itself else [dim] * 3
        # split, not sliced one by one: each slice's gradient would be an array of all rows
        weights, biases = (torch.split(x, sizes) for x in (weight, bias))
        parts = zip(inputs, weights, biases, strict=True)
        first, *others = [linear(*part) for part in parts]
        return (*first.chunk(2, dim=-1), *others) if itself else (first, *others)

    def _heads(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, heads, N, D / heads)."""
        return x.view(*x.shape[:2], self.num_heads, -1).transpose(1, 2)

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None, share: float
    ) -> Tensor:
        """Attention by its formula; a `share` of the weights is dropped."""
        scale, shape = query.shape[-1] ** -0.5, query.shape
        query, key, value = (x.flatten(0, 1) for x in (query, key, value))  # (B heads, N or S, ...)
        if hidden is None:
            weights = (query * scale) @ key.transpose(1, 2)
        else:  # added within the product, which spares two passes over all weights
            away = query.new_zeros(hidden.shape).masked_fill_(hidden, float("-inf"))  # (B, S)
            away = away.repeat_interleave(self.num_heads, 0)[:, None]
            weights = torch.baddbmm(away, query, key.transpose(1, 2), alpha=scale)
        return (dropout(weights.softmax(-1), share) @ value).view(shape)
