"""Weights derived from frozen ones (cast, folded), computed once and stored beside the model.

Autocast casts weights to bfloat16 at every call. Frozen weights do not change, so their casts are
stored here; `torch.autocast`'s own cache is emptied whenever its context ends, at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from detr.kernels.torch_private import modification_count

Derived = TypeVar("Derived")


@dataclass(frozen=True)
class _Entry:
    """A derived value and what it was derived from."""

    sources: Sequence[Tensor]
    values: list[Tensor]  # held, so that no other tensor is allocated at the same address
    state: list[Any]  # dtype, then address and number of in-place changes of each source
    derived: Any


_ENTRIES: WeakKeyDictionary[nn.Module, _Entry] = WeakKeyDictionary()


def compute_dtype(device: str) -> torch.dtype:
    """Return the dtype that layers compute in on "cpu" or "cuda": autocast's, or float32."""
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32


def derived_weights(
    module: nn.Module,
    sources: Sequence[Tensor],
    derive: Callable[[torch.dtype], Derived],
) -> Derived | None:
    """Return `derive(compute dtype)` for a frozen module; `sources` are all that it reads.

    The result is computed once, and again when torch records a change of a source. Changing the
    values of `source.data` in place goes unnoticed.

    Returns None if a source is trained, is not float32, or is an inference tensor, whose changes
    torch does not record, and under torch.compile.
    """
    if torch.compiler.is_compiling():
        return None
    device = sources[0].device.type
    supported = device in ("cpu", "cuda") and sources[0].dtype == torch.float32
    counts = [modification_count(source) for source in sources]
    untracked = torch.is_inference_mode_enabled() or None in counts
    if not supported or untracked or any(source.requires_grad for source in sources):
        _ENTRIES.pop(module, None)  # a fused optimizer's step is not recorded as a change
        return None
    dtype = compute_dtype(device)
    addresses = [source.data_ptr() for source in sources]
    state = [dtype, *zip(addresses, counts, strict=True)]
    entry = _ENTRIES.get(module)
    if entry is None or entry.state != state or not _same(entry.sources, sources):
        with torch.no_grad():
            values = [source.detach() for source in sources]
            entry = _ENTRIES[module] = _Entry(sources, values, state, derive(dtype))
    derived: Derived = entry.derived
    return derived


def _same(ones: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return all(one is other for one, other in zip(ones, others, strict=True))


def cast_weights(module: nn.Module, *weights: Tensor) -> tuple[Tensor, ...]:
    """Return a module's weights in the compute dtype if they are frozen, otherwise unchanged."""

    def cast(dtype: torch.dtype) -> tuple[Tensor, ...]:
        return tuple(weight.to(dtype) for weight in weights)

    frozen = derived_weights(module, weights, cast)
    return weights if frozen is None else frozen
