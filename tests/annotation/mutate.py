"""A small corpus of Labelme files, and mutations that damage them."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from annotation.labelme.masks import encode_mask_png

Rng = np.random.Generator
HUGE = ("1e999", "-1e308", "1" + "0" * 400, "NaN", "-Infinity", "1e-320", "9" * 5000, "-0", "1e9")
UNUSUAL: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, 2**70, "", "\x00", "a" * 3000, "\u202e", "../../x", "/dev/zero"),
    *([], {}, [[]], [None], {"": {}}, [[1e308, -1e308]] * 3, [[0, 0]] * 5, "C:\\nul", "images"),
)


def corpus(photo: str = "../images/a.jpg") -> list[bytes]:
    """Return valid files: all shape types, groups, holes, flags, an embedded photo, Labelme 3."""
    mask = np.ones((4, 5), bool)
    points = {
        "polygon": [[2, 2], [30.5, 3], [28, 20.25], [4, 18]],
        "rectangle": [[20, 15], [3, 4]],
        "oriented_rectangle": [[5, 5], [20, 8], [18, 16], [3, 13]],
        "circle": [[15, 12], [20, 12]],
        "mask": [[10, 10], [14, 13]],
        "line": [[1, 1], [30, 20]],
        "linestrip": [[1, 1], [10, 20], [30, 2]],
        "point": [[7, 7]],
        "points": [[3, 3], [9, 9]],
    }
    shapes = [
        {
            **{"label": "box", "points": p, "group_id": i % 3 or None, "shape_type": kind},
            **{"flags": {"occluded": bool(i % 2)}, "description": "", "mask": None},
        }
        for i, (kind, p) in enumerate(points.items())
    ]
    shapes[4]["mask"] = encode_mask_png(mask)
    hole = {**shapes[0], "label": "__hole__", "points": [[8, 8], [12, 8], [12, 12]], "group_id": 1}
    whole = {
        **{"version": "5.5.0", "flags": {"exclude": False}, "shapes": [*shapes, hole]},
        **{"imagePath": photo, "imageData": None, "imageHeight": 30, "imageWidth": 40},
    }
    old_shape = {"label": "disc", "points": points["polygon"], "line_color": None}
    old = {
        **{"version": "3.16.7", "flags": {}, "shapes": [old_shape], "lineColor": [0, 255, 0, 128]},
        **{"imagePath": photo, "imageData": base64.b64encode(bomb(40, 30)).decode()},
    }
    few = {**whole, "shapes": shapes[:2]}
    return [json.dumps(v, ensure_ascii=False).encode() for v in (whole, old, few)]


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG whose header claims width x height pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def mutate(data: bytes, rng: Rng) -> bytes:
    """Damage a file in one to three ways."""
    for _ in range(int(rng.integers(1, 4))):
        data = MUTATIONS[int(rng.integers(len(MUTATIONS)))](data, rng)
    return data


def _flip_bytes(data: bytes, rng: Rng) -> bytes:
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 8))):
        if damaged:
            damaged[int(rng.integers(len(damaged)))] = int(rng.integers(256))
    return bytes(damaged)


def _cut(data: bytes, rng: Rng) -> bytes:
    start, end = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    return data[:start] + data[end:] if rng.random() < 0.5 else data[:end]


def _nest(data: bytes, rng: Rng) -> bytes:
    depth = int(rng.integers(10, 60_000))
    opening, closing = (b"[", b"]") if rng.random() < 0.5 else (b'{"a":', b"1}")
    deep = opening * depth + (closing * depth if rng.random() < 0.5 else b"")
    return data.replace(b"null", deep, 1) if rng.random() < 0.7 else deep


def _huge_number(data: bytes, rng: Rng) -> bytes:
    places = [i for i, byte in enumerate(data) if chr(byte).isdigit()]
    if not places:
        return data
    at = places[int(rng.integers(len(places)))]
    return data[:at] + HUGE[int(rng.integers(len(HUGE)))].encode() + data[at + 1 :]


def _other_encoding(data: bytes, rng: Rng) -> bytes:
    text = data.decode("utf-8", "replace").replace(
        "box", "Gerüst" if rng.random() < 0.5 else "窗户"
    )
    encodings = ("utf-16", "utf-8-sig", "cp1252", "gb18030", "cp932", "utf-32", "utf-7")
    return text.encode(encodings[int(rng.integers(len(encodings)))], "replace")


def _change_value(data: bytes, rng: Rng) -> bytes:
    """Replace one value anywhere in the tree with an unusual one, or delete it."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return data
    places = list(_places(value))
    if not places:
        return data
    parent, key = places[int(rng.integers(len(places)))]
    if rng.random() < 0.3:
        del parent[key]
    else:
        parent[key] = UNUSUAL[int(rng.integers(len(UNUSUAL)))]
    return json.dumps(value, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def _places(value: Any) -> Any:
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _repeat(data: bytes, rng: Rng) -> bytes:
    """Repeat shapes or keys."""
    if rng.random() < 0.5:
        return data.replace(b'"label"', b'"label": 3, "label"', 3)
    start, end = data.find(b"[{"), data.find(b"}, {")
    return (
        data
        if min(start, end) < 0
        else data[: start + 1] + data[start + 1 : end + 3] * 60 + data[start + 1 :]
    )


def _image_bomb(data: bytes, rng: Rng) -> bytes:
    """Embed a photo or a mask that claims far more pixels than it has bytes."""
    sizes = ((60_000, 60_000), (2**31 - 1, 2**31 - 1), (30_000, 3), (0, 0))
    text = base64.b64encode(bomb(*sizes[int(rng.integers(len(sizes)))]))
    key = b'"mask"' if rng.random() < 0.5 else b'"imageData"'
    return data.replace(key + b": null", key + b': "' + text + b'"')


MUTATIONS: tuple[Callable[[bytes, Rng], bytes], ...] = (
    *(_flip_bytes, _cut, _nest, _huge_number, _other_encoding, _change_value, _change_value),
    *(_change_value, _repeat, _image_bomb),
)
