"""A convolution and the frozen batch norm behind it, as one convolution.

A frozen batch norm is a multiplication and an addition a channel. Done on the weights instead of
on the features it is the same to rounding, and saves half of the passes over memory; gradients
reach the weights through the multiplication.

Of frozen convolutions more is saved: the weights are multiplied once, and on a CPU what follows, an
addition and ReLU, is done while a result is still in the processor's caches.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops.misc import FrozenBatchNorm2d

from detr.kernels.fast import compute_type, kept

# oneDNN's convolution with what follows it, alone and added to something; torch's compiler calls
# them, and torch has no public name for them
ALONE: Any = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
ADDED: Any = getattr(torch.ops.mkldnn, "_convolution_pointwise_", None)

Act = Literal["relu", "relu6"]
_ACTS: dict[Act | None, tuple[Any, ...]] = {  # in oneDNN's words
    None: ("none", [], ""),
    "relu": ("relu", [], ""),
    "relu6": ("hardtanh", [0.0, 6.0], ""),
}


def conv_norm(
    x: Tensor,
    conv: nn.Conv2d,
    norm: FrozenBatchNorm2d,
    *,
    beside: Tensor | None = None,
    act: Act | None = None,
) -> Tensor:
    """`x` through both; `beside`, whose memory may be used for the result, is added; then `act`."""
    # a trace keeps what torch has public names for
    traced = type(x) is not Tensor or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
    frozen = None if traced else _kept(conv, norm)
    if frozen is not None and frozen.fuses and not _learns(x, beside):
        return _fused(x, conv, frozen, beside, act)
    if frozen is not None:
        out = _convolve(x, conv, frozen.weight, frozen.bias)
    elif not torch.compiler.is_compiling() and _is_small(x, conv):
        # more weights than features, as in the last stage: the norm is cheaper on the features;
        # code that is compiled would be compiled again and again for sizes in conditions
        out = _convolve(x, conv, conv.weight, None)
        scale, shift = (one[:, None, None].to(out.dtype) for one in _scale_and_shift(norm))
        out = torch.addcmul(shift, out, scale)
    else:
        out = _convolve(x, conv, *_fold(conv, norm))
    if beside is not None:
        out += beside
    return _activate(out, act)


def _learns(x: Tensor, beside: Tensor | None) -> bool:
    """Whether a gradient goes through a frozen convolution, or past it."""
    asked = x.requires_grad or (beside is not None and beside.requires_grad)
    return asked and torch.is_grad_enabled()


def _activate(x: Tensor, act: Act | None) -> Tensor:
    """`x` itself, changed."""
    if act is None:
        return x
    return F.relu(x, inplace=True) if act == "relu" else F.relu6(x, inplace=True)


def _convolve(x: Tensor, conv: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> Tensor:
    how: tuple[Any, ...] = (conv.stride, conv.padding, conv.dilation, conv.groups)
    lower = x.device.type == "cpu" and compute_type("cpu") != torch.float32
    if lower and conv.groups > 1 and weight.dtype == torch.float32 and torch.is_grad_enabled():
        # in bfloat16 the gradient of a convolution by channel takes four times as long
        with torch.autocast("cpu", enabled=False):
            out = F.conv2d(x.float(), weight, bias, *how)
        return out.to(compute_type("cpu"))
    return F.conv2d(x, weight, bias, *how)


@dataclass(frozen=True)
class _Frozen:
    """The convolution that does both; with `fuses`, oneDNN can and may do what follows, too."""

    weight: Tensor
    bias: Tensor
    fuses: bool


def _kept(conv: nn.Conv2d, norm: FrozenBatchNorm2d) -> _Frozen | None:
    def make(dtype: torch.dtype) -> _Frozen:
        weight, shift = _fold(conv, norm)
        weight = weight.to(dtype, memory_format=torch.channels_last)
        # oneDNN's ReLU makes zeros of NaN, which would hide that a model is broken
        sound = bool(weight.isfinite().all() and shift.isfinite().all())
        fuses = weight.device.type == "cpu" and sound and _can_fuse(dtype)
        return _Frozen(weight, shift.to(dtype), fuses)

    parts = (conv.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)
    return kept(conv, parts, make)


def _fused(
    x: Tensor, conv: nn.Conv2d, frozen: _Frozen, beside: Tensor | None, act: Act | None
) -> Tensor:
    """The same by oneDNN, which knows no gradients: the caller sees to it that none is needed."""
    weight, bias = frozen.weight, frozen.bias
    how = (conv.padding, conv.stride, conv.dilation, conv.groups)
    # channels last, as the result is: it has to lie in memory as what is added to it
    x = x.to(bias.dtype, memory_format=torch.channels_last)
    if beside is None:
        alone: Tensor = ALONE(x, weight, bias, *how, *_ACTS[act])
        return alone
    beside = beside.to(bias.dtype, memory_format=torch.channels_last)
    then: tuple[Any, ...] = ("relu" if act == "relu" else None, [], "")
    added: Tensor = ADDED.binary(beside, x, weight, bias, *how, "add", 1.0, *then)
    return added if act == "relu" else _activate(added, act)


@cache
def _can_fuse(dtype: torch.dtype) -> bool:
    """Whether this torch can on this processor."""
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return False  # other processors' libraries stand behind the same names
    weight = torch.ones(16, 16, 1, 1, dtype=dtype)
    x, one = torch.ones(1, 16, 2, 2, dtype=dtype), _Frozen(weight, weight[:, 0, 0, 0], True)
    conv = nn.Conv2d(16, 16, 1, device="meta")  # draws no random weights, which would shift seeds
    try:
        found = _fused(x, conv, one, x.clone(), "relu")
    except (AttributeError, RuntimeError, TypeError):
        return False
    return bool((found == 18).all())


def _is_small(x: Tensor, conv: nn.Conv2d) -> bool:
    places = x.shape[0] * x.shape[2] * x.shape[3] // (conv.stride[0] * conv.stride[1])
    return conv.weight[0].numel() > 2 * places


def _fold(conv: nn.Conv2d, norm: FrozenBatchNorm2d) -> tuple[Tensor, Tensor]:
    scale, shift = _scale_and_shift(norm)
    return conv.weight * scale[:, None, None, None], shift


def _scale_and_shift(norm: FrozenBatchNorm2d) -> tuple[Tensor, Tensor]:
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale
