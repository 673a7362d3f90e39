"""A convolution followed by a frozen batch norm, computed as one convolution.

A frozen batch norm multiplies each channel by a constant and adds another. Folding it into the
weights of the convolution gives the same features up to rounding and saves half of the passes over
memory; gradients reach the weights through the multiplication.

Frozen convolutions save more: their folded weights are computed once, and on a CPU, the addition
and the activation that follow run while each result is still in the processor's caches.

Existing implementations do not suffice: `torch.nn.utils.fuse_conv_bn_eval` is for inference only,
and torchvision runs the norm as a separate layer. `python -m benchmarks.detr_steps` measures the
savings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from detr.kernels import torch_private
from detr.kernels.derived_weights import compute_dtype, derived_weights
from detr.kernels.frozen_norm import FrozenBatchNorm2d, scale_and_shift
from detr.kernels.torch_private import Activation


def conv_norm(
    x: Tensor,
    conv: nn.Conv2d,
    norm: FrozenBatchNorm2d,
    *,
    addend: Tensor | None = None,
    activation: Activation | None = None,
) -> Tensor:
    """Compute `activation(norm(conv(x)) + addend)`, (B, C, H, W) to (B, C', H', W').

    The result may overwrite `addend`.
    """
    # a trace (ONNX export) must contain only public operations
    traced = type(x) is not Tensor or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
    frozen = None if traced else _frozen_convolution(conv, norm)
    if frozen is not None and frozen.can_fuse and not _needs_gradient(x, addend):
        return _fused(x, conv, frozen, addend, activation)
    if frozen is not None:
        out = _convolve(x, conv, frozen.weight, frozen.bias)
    elif not torch.compiler.is_compiling() and _has_few_positions(x, conv):
        # With more weights than features, as in the last stage, applying the norm to the features
        # is cheaper. torch.compile would recompile a condition on sizes for every size.
        out = _convolve(x, conv, conv.weight, None)
        scale, shift = (part[:, None, None].to(out.dtype) for part in scale_and_shift(norm))
        out = torch.addcmul(shift, out, scale)
    else:
        out = _convolve(x, conv, *_fold(conv, norm))
    if addend is not None:
        out += addend
    return _activate_(out, activation)


def _needs_gradient(x: Tensor, addend: Tensor | None) -> bool:
    """Return whether the convolution's input or the addend needs a gradient."""
    required = x.requires_grad or (addend is not None and addend.requires_grad)
    return required and torch.is_grad_enabled()


def _activate_(x: Tensor, activation: Activation | None) -> Tensor:
    """Apply the activation in place."""
    if activation is None:
        return x
    return F.relu(x, inplace=True) if activation == "relu" else F.relu6(x, inplace=True)


def _convolve(x: Tensor, conv: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> Tensor:
    geometry: tuple[Any, ...] = (conv.stride, conv.padding, conv.dilation, conv.groups)
    lower = x.device.type == "cpu" and compute_dtype("cpu") != torch.float32
    if lower and conv.groups > 1 and weight.dtype == torch.float32 and torch.is_grad_enabled():
        # the gradient of a depthwise convolution takes four times as long in bfloat16
        with torch.autocast("cpu", enabled=False):
            out = F.conv2d(x.float(), weight, bias, *geometry)
        return out.to(compute_dtype("cpu"))
    return F.conv2d(x, weight, bias, *geometry)


@dataclass(frozen=True)
class _FrozenConvolution:
    """Folded weights, in the dtype that the layer computes in."""

    weight: Tensor  # (C', C / groups, kernel, kernel)
    bias: Tensor  # (C',)
    can_fuse: bool  # whether the addition and activation that follow can be fused with it


def _frozen_convolution(conv: nn.Conv2d, norm: FrozenBatchNorm2d) -> _FrozenConvolution | None:
    """Return the folded weights, which are computed once; None if the convolution is not frozen."""

    def derive(dtype: torch.dtype) -> _FrozenConvolution:
        weight, bias = _fold(conv, norm)
        weight = weight.to(dtype, memory_format=torch.channels_last)
        # oneDNN's ReLU turns NaN into 0, which would hide broken weights
        finite = bool(weight.isfinite().all() and bias.isfinite().all())
        on_cpu = weight.device.type == "cpu"
        can_fuse = on_cpu and finite and torch_private.can_fuse_convolutions(dtype)
        return _FrozenConvolution(weight, bias.to(dtype), can_fuse)

    sources = (conv.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)
    return derived_weights(conv, sources, derive)


def _fused(
    x: Tensor,
    conv: nn.Conv2d,
    frozen: _FrozenConvolution,
    addend: Tensor | None,
    activation: Activation | None,
) -> Tensor:
    """Convolve, add and activate in one pass, without gradients."""
    # the result is channels-last, and the addend must have the same memory layout
    layout: dict[str, Any] = {"dtype": frozen.bias.dtype, "memory_format": torch.channels_last}
    return torch_private.fused_convolution(
        x.to(**layout),
        frozen.weight,
        frozen.bias,
        stride=conv.stride,
        padding=conv.padding,  # type: ignore[arg-type]
        dilation=conv.dilation,
        groups=conv.groups,
        addend=None if addend is None else addend.to(**layout),
        activation=activation,
    )


def _has_few_positions(x: Tensor, conv: nn.Conv2d) -> bool:
    """Return whether a filter has more than twice as many weights as the result has positions."""
    positions = x.shape[0] * x.shape[2] * x.shape[3] // (conv.stride[0] * conv.stride[1])
    return conv.weight[0].numel() > 2 * positions


def _fold(conv: nn.Conv2d, norm: FrozenBatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the weight and bias of a convolution that is equivalent to both layers."""
    scale, shift = scale_and_shift(norm)
    return conv.weight * scale[:, None, None, None], shift
