"""The private names of torch that this project uses, each behind a function with a public fallback.

Private names may change with any release of torch, so `pyproject.toml` limits its version. Code
elsewhere in `detr/` calls only these functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import conv_flop_count

Activation = Literal["relu", "relu6"]
Size = Sequence[int]

# oneDNN's convolution fused with an activation, and fused with an addition and an activation.
# torch.compile emits calls to both, but neither has a public name.
_FUSED: Any = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
_FUSED_ADDITION: Any = getattr(torch.ops.mkldnn, "_convolution_pointwise_", None)
_ONEDNN_ACTIVATIONS: dict[Activation | None, tuple[Any, ...]] = {  # name, arguments, algorithm
    None: ("none", [], ""),
    "relu": ("relu", [], ""),
    "relu6": ("hardtanh", [0.0, 6.0], ""),
}


def has_avx512_bf16() -> bool:
    """Return whether the processor has AVX-512 instructions that multiply bfloat16 values."""
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # public, in newer releases
    if capabilities is not None:
        return bool(capabilities().get("avx512_bf16", False))
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return supported is not None and bool(supported())


def lerp_all_(averages: Sequence[Tensor], values: Sequence[Tensor], weight: float) -> None:
    """Move each average towards its value, in place: `average += weight * (value - average)`."""
    lerp = getattr(torch, "_foreach_lerp_", None)  # one call for all tensors
    if lerp is not None:
        lerp(list(averages), list(values), weight)
        return
    for average, value in zip(averages, values, strict=True):
        average.lerp_(value, weight)


def modification_count(tensor: Tensor) -> int | None:
    """Return how many times torch has recorded an in-place change of a tensor; None if unknown.

    Inference tensors have no count. Changes through `.data` are not counted.
    """
    if tensor.is_inference():
        return None
    count: int | None = getattr(tensor, "_version", None)
    return count


def is_compiler_error(error: BaseException) -> bool:
    """Return whether an error comes from a part of torch.compile."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))


def fused_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    stride: Size,
    padding: Size,
    dilation: Size,
    groups: int,
    addend: Tensor | None,
    activation: Activation | None,
) -> Tensor:
    """Convolve, add `addend` (overwriting it) and apply the activation in one pass over memory.

    Call it only if `can_fuse_convolutions` returns True, with tensors of one dtype and without
    gradients. `x`, `weight` and `addend` must be channels-last in memory; so is the result.
    """
    geometry = (padding, stride, dilation, groups)
    if addend is None:
        result: Tensor = _FUSED(x, weight, bias, *geometry, *_ONEDNN_ACTIVATIONS[activation])
        return result
    # after an addition, oneDNN can fuse ReLU but not ReLU6
    relu = "relu" if activation == "relu" else None
    result = _FUSED_ADDITION.binary(addend, x, weight, bias, *geometry, "add", 1.0, relu, [], "")
    return F.relu6(result, inplace=True) if activation == "relu6" else result


@cache
def can_fuse_convolutions(dtype: torch.dtype) -> bool:
    """Return whether this torch, on this processor, computes `fused_convolution` correctly."""
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return False  # on other processors, these operations use other libraries
    # not random, because drawing numbers would change the results of any later training
    x = torch.ones(1, 16, 2, 2, dtype=dtype)
    weight = torch.ones(16, 16, 1, 1, dtype=dtype)
    results = []
    try:
        for addend in (None, x.clone()):
            result = fused_convolution(
                x,
                weight,
                weight[:, 0, 0, 0],
                stride=(1, 1),
                padding=(0, 0),
                dilation=(1, 1),
                groups=1,
                addend=addend,
                activation="relu",
            )
            results.append(result)
    except (AttributeError, RuntimeError, TypeError):
        return False
    # 16 products and the bias, then the addend
    expected = (17, 18)
    return all(bool((r == e).all()) for r, e in zip(results, expected, strict=True))


def fused_flop_counts() -> dict[Any, Callable[..., int]]:
    """Return functions with which torch's FlopCounterMode counts fused convolutions."""

    def fused(x: Size, weight: Size, *_: Any, out_shape: Size, **__: Any) -> int:
        return int(conv_flop_count(list(x), list(weight), list(out_shape)))

    def fused_addition(
        addend: Size, x: Size, weight: Size, *_: Any, out_shape: Size, **__: Any
    ) -> int:
        return fused(x, weight, out_shape=out_shape)

    counts = ((_FUSED, fused), (_FUSED_ADDITION, fused_addition))
    return {operation: count for operation, count in counts if operation is not None}
