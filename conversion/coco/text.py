"""The text of a COCO file: other encodings and NaN are converted to plain JSON, or reported."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

from annotation.labelme.decoding import is_utf8
from base.errors import InputError
from base.files import read_regular
from base.parsing import MOST_JSON_BYTES

MOST_BYTES = MOST_JSON_BYTES  # of one file
_MARKS = {  # UTF-32 first, because its mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Strings are matched first; one that does not end extends to the end, so that no text is read twice
_NOT_NUMBERS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|-?\b(?:NaN|Infinity)\b', re.DOTALL)


@dataclass(frozen=True, eq=False)
class JsonText:
    """The bytes of a file as plain UTF-8 JSON; `not_numbers` counts NaN and infinities.

    Python's json module writes these, although JSON does not have them. They have become null.
    """

    data: bytes
    not_numbers: int = 0


def read_text(path: Path) -> bytes:
    """Read a file as UTF-8 without a byte order mark, whether it is UTF-8, UTF-16 or UTF-32.

    Raises InputError if it cannot be read or has another encoding.
    """
    try:
        data = read_regular(path, most_bytes=MOST_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if encoding := wide_encoding(data):
        try:
            return data.decode(encoding).removeprefix("\ufeff").encode()
        except UnicodeError:
            raise InputError(f"{path}: begins like {encoding.upper()} but is damaged") from None
    data = data.removeprefix(codecs.BOM_UTF8)
    if not data.isascii() and not is_utf8(data):
        raise InputError(f"{path}: expected UTF-8, found another encoding; save it as UTF-8")
    return data


def wide_encoding(data: bytes) -> str | None:
    """Return the encoding if the first bytes of JSON are UTF-16 or UTF-32, else None.

    JSON begins with two ASCII characters, so that without a mark, the zeros show the encoding.
    """
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return encoding
    zeros = [byte == 0 for byte in data[:4]]
    patterns = {
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
    }
    return patterns.get(tuple(zeros))  # type: ignore[arg-type]


def without_not_numbers(data: bytes) -> JsonText:
    """Replace NaN and infinities outside strings with null."""
    count = 0

    def replaced(match: re.Match[bytes]) -> bytes:
        nonlocal count
        if match[0].startswith(b'"'):
            return match[0]
        count += 1
        return b"null"

    changed = _NOT_NUMBERS.sub(replaced, data)
    return JsonText(changed, count)


def has_not_numbers(data: bytes | mmap) -> bool:
    """Return whether NaN or an infinity occurs outside strings."""
    found = _NOT_NUMBERS.finditer(data)
    return any(not match[0].startswith(b'"') for match in found)
