"""Numbers of things in sentences."""

from __future__ import annotations


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Return the number with its noun: `1 photo`, `1,200 photos`.

    `plural` is needed where it is not the singular with an s: `counted(2, "category",
    "categories")`.
    """
    return f"{count:,} {singular if count == 1 else plural or f'{singular}s'}"
