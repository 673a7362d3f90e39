"""Decoding the bytes of Labelme files to JSON values, even if they are not valid JSON.

Labelme writes UTF-8 without a byte order mark. Older versions on Windows used the code page of the
system, other programs add a byte order mark, and Python writes NaN, which JSON does not have.
"""

from __future__ import annotations

import codecs
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import msgspec

BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# These limits keep the memory for any file below 1 GB. 1,000 shapes of 1,000 points are 3 million
# values.
MOST_VALUES = 5_000_000  # numbers, strings, lists and objects together
MOST_OBJECTS = 500_000
MOST_LENIENT_BYTES = 64 << 20  # of a file that is decoded in more than one step
_PIECE = 1 << 20

# Windows code pages of Labelme files, the most likely first: Western, Korean, Chinese, Japanese,
# traditional Chinese, Cyrillic, central European, Greek, Turkish and Baltic, with their common
# letters or, for East Asian pages, the first bytes of the most common characters.
CODE_PAGES: dict[str, str | range] = {
    "cp1252": "äöüßÄÖÜéèêàâçñáíóúåøæãõîôëï",
    "cp949": range(0xB0, 0xC9),
    "gb18030": range(0xB0, 0xD8),
    "cp932": range(0x82, 0x98),
    "cp950": range(0xA4, 0xC7),
    "cp1251": "абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґ",
    "cp1250": "ąćęłńóśźżčďěňřšťůžýáíéúőű",
    "cp1253": "αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώ",
    "cp1254": "ğışçöüİ",
    "cp1257": "āčēģīķļņšūžąęėįų",
}
_LATIN_PAGES = frozenset({"cp1252", "cp1250", "cp1254", "cp1257"})  # most letters are ASCII
_BETWEEN_WORDS = re.compile(r'["/\\\x00-\x1f]+')  # separates whole labels and the parts of paths
_MOST_CHARACTERS = 10_000  # more are not examined
_LONGEST_WORD = 4096  # characters
_KEYS = re.compile(r'"\s*:')
_BYTE_KEYS = re.compile(rb'"\s*:')


@dataclass(frozen=True, slots=True)
class Decoded:
    """A JSON value, the encoding of its file, and the keys that are repeated in one object."""

    value: Any
    encoding: str
    repeated_keys: tuple[str, ...]


def decode_json(data: bytes, *, known: Collection[str] = ()) -> Decoded:
    """Decode the bytes of one file.

    If they are not UTF-8, the code page is chosen that gives the most `known` words: labels and
    names of photos, as `known_words` returns them. Raises ValueError, which says what is wrong with
    the bytes.
    """
    _check_counts(data)
    encoding, text = _decode_text(data, known)
    try:
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError as strict:
            value = _decode_leniently(text, strict)
        return Decoded(value, encoding, _repeated_keys(text, value))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _check_counts(data: bytes) -> None:
    """Refuse files that would take gigabytes; each value follows a comma or an opening bracket."""
    if len(data) <= MOST_OBJECTS:
        return
    objects = data.count(b"{")
    values = objects + data.count(b",") + data.count(b"[")
    if objects > MOST_OBJECTS or values > MOST_VALUES:
        limits = f"expected at most {MOST_OBJECTS:,} objects and {MOST_VALUES:,} values"
        raise ValueError(f"{limits}, found {objects:,} and {values:,}")


def _decode_text(data: bytes, known: Collection[str]) -> tuple[str, bytes | str]:
    """Return the encoding and the text; plain UTF-8 remains bytes, which is fastest."""
    marks = BYTE_ORDER_MARKS.items()
    marked = next((encoding for mark, encoding in marks if data.startswith(mark)), None)
    if marked is None and (data.isascii() or is_utf8(data)):
        return "utf-8", data
    if len(data) > MOST_LENIENT_BYTES:
        raise ValueError(f"larger than {MOST_LENIENT_BYTES >> 20} MB and not plain UTF-8")
    return (marked, data.decode(marked)) if marked else _guess_code_page(data, known)


def is_utf8(data: bytes) -> bool:
    """Return whether bytes are UTF-8.

    They are decoded in pieces: one emoji would make the whole text take four bytes per character.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _PIECE):
            decoder.decode(data[start : start + _PIECE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def known_words(words: Iterable[str]) -> frozenset[str]:
    """Return the words that distinguish code pages, in the form that `decode_json` compares."""
    return frozenset(_normalized(word) for word in words if not word.isascii())


def _normalized(word: str) -> str:
    return unicodedata.normalize("NFC", word).casefold()


def _guess_code_page(data: bytes, known: Collection[str]) -> tuple[str, str]:
    best: tuple[tuple[int, float], str] | None = None
    for encoding in CODE_PAGES:
        try:
            parts = _BETWEEN_WORDS.split(data.decode(encoding))
        except UnicodeDecodeError:
            continue
        words = [part for part in parts if len(part) <= _LONGEST_WORD and not part.isascii()]
        # bytes are counted, not words: a letter in one page is half a character in another
        fitting = (word for word in words if _normalized(word) in known)
        found = sum(_count_non_ascii_bytes(word, encoding) for word in fitting)
        score = (found, _fit(words, encoding))
        if best is None or score > best[0]:
            best = (score, encoding)
    if best is None:
        raise ValueError("neither UTF-8 nor in a known Windows code page")
    return best[1], data.decode(best[1])


def _count_non_ascii_bytes(word: str, encoding: str) -> int:
    return len("".join(c for c in word if not c.isascii()).encode(encoding))


def _fit(words: list[str], encoding: str) -> float:
    """Return the share of non-ASCII characters that fit words of this code page, 0 to 1."""
    common, latin = _common(encoding), encoding in _LATIN_PAGES
    other = fitting = 0
    for before, character, after in _neighbours(words):
        beside_latin = any(c.isascii() and c.isalpha() for c in (before, after))
        other += 1
        fitting += character in common and beside_latin == latin
    return fitting / max(1, other)


@cache
def _common(encoding: str) -> frozenset[str]:
    """Return the common characters of a code page."""
    what = CODE_PAGES[encoding]
    if isinstance(what, str):
        return frozenset(what + what.upper())
    codes = (bytes((first, second)) for first in what for second in range(0x40, 0xFF))
    return frozenset(code.decode(encoding, "ignore") for code in codes)


def _neighbours(words: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the first non-ASCII characters, each between its two neighbours."""
    triples = (t for w in words for t in zip(f" {w}", w, f"{w[1:]} ", strict=False))
    return islice((t for t in triples if not t[1].isascii()), _MOST_CHARACTERS)


def _decode_leniently(text: bytes | str, strict: Exception) -> Any:
    """Decode with Python's json module, which accepts NaN, Infinity and numbers of any size."""
    try:
        if len(text) > MOST_LENIENT_BYTES:
            raise ValueError
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()  # unpaired surrogates cannot be encoded
    except UnicodeEncodeError:
        raise ValueError("unpaired surrogate in a string") from None
    except ValueError:
        raise ValueError(str(strict).splitlines()[0]) from None
    return value


def _repeated_keys(text: bytes | str, value: Any) -> tuple[str, ...]:
    """Return the keys that are repeated in one object; `value` has only the last of each."""
    count = _count_keys(value)
    colons = text.count(b":") if isinstance(text, bytes) else text.count(":")
    if colons == count:
        return ()  # each key has one; a difference may be due to colons in strings
    keys = _BYTE_KEYS.findall(text) if isinstance(text, bytes) else _KEYS.findall(text)
    if len(keys) == count or len(text) > MOST_LENIENT_BYTES:
        return ()  # counting is fast, and the numbers differ if a key was lost
    repeated: dict[str, None] = {}

    def collect_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            repeated.update(dict.fromkeys(key for key, n in counts.items() if n > 1))
        return result

    json.loads(text, object_pairs_hook=collect_repeated)
    return tuple(repeated)


def _count_keys(value: Any) -> int:
    """Count the keys of all objects; lists that begin with points or numbers contain none."""
    count, inner = 0, [value]
    for one in inner:  # grows during the loop
        if type(one) is dict:
            count += len(one)
            inner += [v for v in one.values() if type(v) is dict or type(v) is list]
        elif type(one) is list and one and type(one[0]) in (dict, list):
            first = one[0]
            if not (type(first) is list and first and type(first[0]) in (float, int)):
                inner += one
    return count
