"""Errors of torch.compile, explained in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from base.errors import InputError
from detr.kernels.torch_private import is_compiler_error


@contextmanager
def explained_compiler_errors() -> Iterator[None]:
    """Raise InputError instead of an error of torch.compile, saying what torch.compile needs."""
    try:
        yield
    except RuntimeError as error:
        if not is_compiler_error(error):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        cause = (lines or [type(error).__name__])[0][:200]
        raise InputError(
            f"compile: torch.compile failed: {cause}; it needs a C++ compiler (g++, or the one"
            " named by CXX), and triton on a GPU; to train without them, set compile=false"
        ) from None
