"""torch.compile: where it fails, it says so in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from base.errors import InputError


@contextmanager
def says_what_compiling_needs() -> Iterator[None]:
    """An error of torch.compile, of whichever of its parts, becomes an InputError."""
    try:
        yield
    except RuntimeError as error:
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = (lines or [type(error).__name__])[0][:200]
        raise InputError(
            f"compile: torch.compile failed: {said}; it needs a C++ compiler (g++, or what CXX"
            " names) and on a GPU triton; without them train with compile=false"
        ) from None
