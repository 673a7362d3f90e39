"""Writing COCO's JSON files piece by piece, because a million photos do not fit into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from conversion.coco.categories import Category, category_values


def coco_file(
    info: Mapping[str, Any],
    images: Iterable[bytes],
    annotations: Iterable[bytes],
    categories: tuple[Category, ...],
) -> Iterator[bytes]:
    """Yield the bytes of a file; `images` and `annotations` are JSON objects, or b"" for none."""
    yield b'{"info":' + msgspec.json.encode(info) + b',"images":['
    yield from _joined(images)
    yield b'],"annotations":['
    yield from _joined(annotations)
    yield b'],"categories":' + msgspec.json.encode(category_values(categories)) + b"}"


def _joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    first = True
    for piece in pieces:
        if piece:
            yield piece if first else b",\n" + piece
            first = False
