"""Writing files with torch, so that a full disk is reported with the path and the space needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from base.files import replacing


def save_torch(path: Path, values: dict[str, Any], *, durable: bool = False) -> None:
    """Write `values` completely or not at all; with `durable`, they survive a power cut.

    Raises OSError with the path; about a full disk, its reason also has the bytes needed and free.
    """
    size = sum(tensor.nbytes for tensor in _tensors(values))
    with replacing(path, durable=durable, size=size) as temporary, temporary.open("wb") as file:
        try:
            torch.save(values, file)
        except RuntimeError as error:  # torch's error for an incomplete write
            raise _system_error(error) or error from None


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict | list | tuple):
        for value in values.values() if isinstance(values, dict) else values:
            yield from _tensors(value)


def _system_error(error: BaseException) -> OSError | None:
    """Return the error of the file that an error of torch followed; None if there is none."""
    found = error.__context__
    while found is not None and not isinstance(found, OSError):
        found = found.__context__
    return found
