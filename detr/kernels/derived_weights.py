"""Weights derived from frozen weights (cast, folded), computed once and stored outside the model.

Autocast casts weights to bfloat16 at every call. Frozen weights do not change, so their casts are
stored here; `torch.autocast` empties its own cache when its context ends, which is at every step.
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
    state: list[Any]  # dtype, then the address and modification count of each source
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
    """Return `derive(compute dtype)` for a frozen module; `derive` may read only `sources`.

    The result is reused until torch records a change to a source. In-place changes to `source.data`
    are not detected.

    Returns None under torch.compile and in inference mode, or if a source is trained, is not
    float32, is on an unsupported device, or is an inference tensor, whose changes torch does not
    record.
    """
    if torch.compiler.is_compiling():
        return None
    device = sources[0].device.type
    supported = device in ("cpu", "cuda") and sources[0].dtype == torch.float32
    counts = [modification_count(source) for source in sources]
    untracked = torch.is_inference_mode_enabled() or None in counts
    if not supported or untracked or any(source.requires_grad for source in sources):
        _ENTRIES.pop(module, None)  # torch does not record a fused optimiser's step as a change
        return None
    dtype = compute_dtype(device)
    addresses = [source.data_ptr() for source in sources]
    state = [dtype, *zip(addresses, counts, strict=True)]
    entry = _ENTRIES.get(module)
    if entry is None or entry.state != state or not _are_same(entry.sources, sources):
        with torch.no_grad():
            values = [source.detach() for source in sources]
            entry = _ENTRIES[module] = _Entry(sources, values, state, derive(dtype))
    derived: Derived = entry.derived
    return derived


def _are_same(first: Sequence[Tensor], second: Sequence[Tensor]) -> bool:
    return all(a is b for a, b in zip(first, second, strict=True))


def cast_weights(module: nn.Module, *weights: Tensor) -> tuple[Tensor, ...]:
    """Return a module's weights in the compute dtype if they are frozen, otherwise unchanged."""

    def cast(dtype: torch.dtype) -> tuple[Tensor, ...]:
        return tuple(weight.to(dtype) for weight in weights)

    frozen = derived_weights(module, weights, cast)
    return weights if frozen is None else frozen
