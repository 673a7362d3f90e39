"""Bytes to JSON values: strict where the file is, patient where a program or a code page was not.

Labelme writes UTF-8 without a mark; older versions on Windows wrote the code page of the machine,
other programs put a byte order mark before it, and Python writes NaN, which JSON does not know.
"""

from __future__ import annotations

import codecs
import json
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec

# Western, Chinese, Japanese, Korean, traditional Chinese, Cyrillic: what Labelme files are seen in
CODE_PAGES = ("cp1252", "gb18030", "cp932", "cp949", "cp950", "cp1251")
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class Decoded:
    """One JSON value, the encoding that its file was in, and keys that stood twice in an object."""

    value: Any
    encoding: str
    repeated_keys: tuple[str, ...]


def decode_json(data: bytes, *, known: Collection[str] = ()) -> Decoded:
    """Decode the bytes of one file; ValueError says what is wrong with them.

    Where they are no UTF-8, the code page is the one in which most of the `known` words (labels,
    names of photos) occur.
    """
    encoding, text = _decode_text(data, known)
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as strict:
        value = _decode_patiently(text, strict)
    repeated: tuple[str, ...] = ()
    colons = text.count(b'":') if isinstance(text, bytes) else text.count('":')
    if colons != _count_keys(value):  # cheap, and unequal wherever a key was lost
        repeated = _repeated_keys(text)
    return Decoded(value, encoding, repeated)


def _decode_text(data: bytes, known: Collection[str]) -> tuple[str, bytes | str]:
    """Encoding and text; plain UTF-8 stays bytes, which decodes fastest."""
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            return encoding, data.decode(encoding)
    if data.isascii():
        return "utf-8", data
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _guess_code_page(data, known)
    return "utf-8", data


def _guess_code_page(data: bytes, known: Collection[str]) -> tuple[str, str]:
    best: tuple[tuple[int, float], str, str] | None = None
    for encoding in CODE_PAGES:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        score = (sum(word in text for word in known if not word.isascii()), _plausibility(text))
        if best is None or score > best[0]:
            best = (score, encoding, text)
    if best is None:
        raise ValueError("is neither UTF-8 nor in a known Windows code page")
    return best[1], best[2]


def _plausibility(text: str) -> float:
    """Share of the other-than-ASCII characters that are common letters, 0..1."""
    others = [c for c in text if not c.isascii()]
    letters = sum(unicodedata.category(c)[0] == "L" for c in others)
    mixed = sum(
        not a.isascii() and b.isascii() and b.isalpha() and "CJK" in unicodedata.name(a, "")
        for a, b in pairwise(text)
    )  # a Western word read as Chinese swallows one of its letters
    return (letters - mixed) / max(1, len(others))


def _decode_patiently(text: bytes | str, strict: Exception) -> Any:
    """Read what Python's own module reads: NaN, Infinity, numbers of any size."""
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair can't be written
    except (ValueError, RecursionError) as error:
        raise ValueError(_first_line(strict)) from error
    return value


def _first_line(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return str(error).splitlines()[0]


def _count_keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_count_keys, value.values()))
    if isinstance(value, list) and value and isinstance(value[0], dict | list):
        return sum(map(_count_keys, value))
    return 0


def _repeated_keys(text: bytes | str) -> tuple[str, ...]:
    repeated: dict[str, None] = {}

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            keys = [key for key, _ in pairs]
            repeated.update(dict.fromkeys(k for k in result if keys.count(k) > 1))
        return result

    json.loads(text, object_pairs_hook=look)
    return tuple(repeated)
