"""Linear, dropout and attention layers that are equivalent to torch's but faster on CPUs.

- torch multiplies float32 matrices with MKL, which is slow on non-Intel processors, but convolves
  with oneDNN, which is fast on all processors. Large linear layers therefore run as convolutions
  with a 1x1 kernel.
- torch takes longer to draw a dropout mask than to compute the layer before the dropout.
- On CPUs, torch's fused attention does not support dropout and is slow in bfloat16.

`python -m benchmarks.detr_steps` measures the savings. On GPUs, torch's own layers are used.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detr.kernels.derived_weights import cast_weights

_LARGE = 8_000_000  # multiplications; below this, a convolution's overhead exceeds its savings


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(B, N, I) to (B, N, O) with weight (O, I) and bias (O,)."""
    if torch.compiler.is_compiling() or x.is_cuda or torch.is_autocast_enabled("cpu"):
        return F.linear(x, weight, bias)
    # with one thread, torch runs small batches of 1x1 convolutions without oneDNN
    if len(x) * x.shape[1] * weight.numel() < _LARGE or torch.get_num_threads() == 1:
        return F.linear(x, weight, bias)
    columns = x.transpose(1, 2).unsqueeze(2)  # (B, I, 1, N): channels last without a copy
    # squeezed, not indexed: the gradient of indexing fills a new array with zeros first
    return F.conv2d(columns, weight[:, :, None, None], bias).squeeze(2).transpose(1, 2)


def dropout(x: Tensor, probability: float) -> Tensor:
    """Set values to zero with the given probability and scale the others to keep the mean."""
    if probability in (0, 1) or x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, probability)
    # each random 64-bit number gives four 16-bit numbers from -2^15 to 2^15 - 1, one per value
    random = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    numbers = random.view(torch.int16)[: x.numel()].view(x.shape)
    kept = (numbers >= round(probability * 2**16) - 2**15).to(x.dtype)
    return x * kept.mul_(1 / (1 - probability))


class Linear(nn.Linear):
    """A replacement for nn.Linear with the same parameters."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, *cast_weights(self, self.weight, self.bias))


class Dropout(nn.Dropout):
    """A replacement for nn.Dropout, active only in training."""

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p) if self.training else input


class Attention(nn.MultiheadAttention):
    """A batch-first nn.MultiheadAttention with the same parameters that returns no weights."""

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor, value: Tensor, padding_mask: Tensor | None = None
    ) -> Tensor:
        """Attend from N queries to S keys.

        query (B, N, D), key and value (B, S, D), padding_mask (B, S) bool, True where a key is
        padding. Returns (B, N, D).
        """
        weight, bias, *out_proj = cast_weights(
            self, self.in_proj_weight, self.in_proj_bias, self.out_proj.weight, self.out_proj.bias
        )
        projected = self._project(query, key, value, weight, bias)
        q, k, v = (self._split_heads(x) for x in projected)  # (B, heads, N or S, D / heads)
        probability = self.dropout if self.training else 0.0
        if not query.is_cuda and (self.training or q.dtype == torch.bfloat16):
            attended = self._attend(q, k, v, padding_mask, probability)
        else:
            visible = None if padding_mask is None else ~padding_mask[:, None, None]
            attended = F.scaled_dot_product_attention(q, k, v, visible, probability)
        return linear(attended.transpose(1, 2).flatten(2), *out_proj)

    def _project(
        self, query: Tensor, key: Tensor, value: Tensor, weight: Tensor, bias: Tensor
    ) -> tuple[Tensor, ...]:
        """Project queries, keys and values; query and key together if they are the same tensor."""
        dim = self.embed_dim
        shared = query is key
        inputs = [query, value] if shared else [query, key, value]
        sizes = [2 * dim, dim] if shared else [dim] * 3
        # split, not sliced: the gradient of each slice would have the size of the whole tensor
        weights, biases = (torch.split(x, sizes) for x in (weight, bias))
        first, *others = [linear(*part) for part in zip(inputs, weights, biases, strict=True)]
        return (*first.chunk(2, dim=-1), *others) if shared else (first, *others)

    def _split_heads(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, heads, N, D / heads)."""
        return x.view(*x.shape[:2], self.num_heads, -1).transpose(1, 2)

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, padding_mask: Tensor | None, probability: float
    ) -> Tensor:
        """Compute scaled dot-product attention in separate operations, with dropout of weights."""
        scale, shape = q.shape[-1] ** -0.5, q.shape
        q, k, v = (x.flatten(0, 1) for x in (q, k, v))  # (B * heads, N or S, D / heads)
        if padding_mask is None:
            weights = (q * scale) @ k.transpose(1, 2)  # (B * heads, N, S)
        else:  # the mask is added within the product, which saves two passes over all weights
            bias = q.new_zeros(padding_mask.shape).masked_fill_(padding_mask, float("-inf"))
            bias = bias.repeat_interleave(self.num_heads, 0)[:, None]  # (B * heads, 1, S)
            weights = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=scale)
        return (dropout(weights.softmax(-1), probability) @ v).view(shape)


class PointwiseConv(nn.Conv2d):
    """A 1x1 convolution, computed as a matrix product over the channels of each location.

    In a process with one thread, torch would convert channels-last features to another layout and
    back for every 1x1 convolution, which takes a tenth of a training step of `variant: fast`.
    """

    def __init__(self, channels: int, out: int, *, bias: bool = True) -> None:
        super().__init__(channels, out, 1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H, W)."""
        locations = F.linear(input.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return locations.permute(0, 3, 1, 2)
