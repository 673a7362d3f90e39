"""Bytes to JSON values: strict where the file is, patient where a program or a code page was not.

Labelme writes UTF-8 without a mark; older versions on Windows wrote the code page of the machine,
other programs put a byte order mark before it, and Python writes NaN, which JSON does not know.
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

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# Limits that keep the decoding of any file below 1 GB; 1,000 shapes of 1,000 points are far below.
MOST_VALUES = 5_000_000  # numbers, strings, lists and objects together
MOST_OBJECTS = 500_000
MOST_PATIENT_BYTES = 64 << 20  # of a file that needs more than one look
_PIECE = 1 << 20

# Pages in which Labelme files are seen, the likelier first: Windows' Western, Korean, Chinese,
# Japanese, traditional Chinese, Cyrillic, central European, Greek, Turkish, Baltic ones. With each,
# what is common in it: letters, or the first bytes of the characters that the standards put first.
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
_ALONE = frozenset({"cp1252", "cp1250", "cp1254", "cp1257"})  # few letters of a word are not ASCII
_BETWEEN_WORDS = re.compile(r'["/\\\x00-\x1f]+')  # whole labels, and the parts of paths
_LOOKED_AT = 10_000  # characters
_LONGEST = 4096  # characters of a word
_KEYS = re.compile(r'"\s*:')
_BYTE_KEYS = re.compile(rb'"\s*:')


@dataclass(frozen=True, slots=True)
class Decoded:
    """One JSON value, the encoding that its file was in, and keys that stood twice in an object."""

    value: Any
    encoding: str
    repeated_keys: tuple[str, ...]


def decode_json(data: bytes, *, known: Collection[str] = ()) -> Decoded:
    """Decode the bytes of one file; ValueError says what is wrong with them.

    Where they are no UTF-8, the code page is the one in which most of the `known` words stand, as
    `known_words` gives them: labels, names of photos.
    """
    _check_counts(data)
    encoding, text = _decode_text(data, known)
    try:
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError as strict:
            value = _decode_patiently(text, strict)
        return Decoded(value, encoding, _repeated_keys(text, value))
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _check_counts(data: bytes) -> None:
    """Refuse what would take gigabytes; every value follows a comma or opens something."""
    if len(data) <= MOST_OBJECTS:
        return
    objects = data.count(b"{")
    values = objects + data.count(b",") + data.count(b"[")
    if objects > MOST_OBJECTS or values > MOST_VALUES:
        limits = f"expected at most {MOST_OBJECTS:,} objects and {MOST_VALUES:,} values"
        raise ValueError(f"{limits}, got {objects:,} and {values:,}")


def _decode_text(data: bytes, known: Collection[str]) -> tuple[str, bytes | str]:
    """Encoding and text; plain UTF-8 stays bytes, which decodes fastest."""
    marked = next((encoding for mark, encoding in MARKS.items() if data.startswith(mark)), None)
    if marked is None and (data.isascii() or _is_utf8(data)):
        return "utf-8", data
    if len(data) > MOST_PATIENT_BYTES:
        raise ValueError(f"is no plain UTF-8 and larger than {MOST_PATIENT_BYTES >> 20} MB")
    return (marked, data.decode(marked)) if marked else _guess_code_page(data, known)


def _is_utf8(data: bytes) -> bool:
    """Piece by piece: one emoji would blow a text of the whole up to four bytes a character."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _PIECE):
            decoder.decode(data[start : start + _PIECE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def known_words(words: Iterable[str]) -> frozenset[str]:
    """Words that tell one code page from another, as `decode_json` compares them."""
    return frozenset(_same(word) for word in words if not word.isascii())


def _same(word: str) -> str:
    return unicodedata.normalize("NFC", word).casefold()


def _guess_code_page(data: bytes, known: Collection[str]) -> tuple[str, str]:
    best: tuple[tuple[int, float], str] | None = None
    for encoding in CODE_PAGES:
        try:
            parts = _BETWEEN_WORDS.split(data.decode(encoding))
        except UnicodeDecodeError:
            continue
        words = [part for part in parts if len(part) <= _LONGEST and not part.isascii()]
        # bytes, not words: a single letter of one page is half a character of another
        found = sum(_foreign_bytes(word, encoding) for word in words if _same(word) in known)
        score = (found, _fit(words, encoding))
        if best is None or score > best[0]:
            best = (score, encoding)
    if best is None:
        raise ValueError("is neither UTF-8 nor in a known Windows code page")
    return best[1], data.decode(best[1])


def _foreign_bytes(word: str, encoding: str) -> int:
    return len("".join(c for c in word if not c.isascii()).encode(encoding))


def _fit(words: list[str], encoding: str) -> float:
    """Share of the other-than-ASCII characters that stand as words of this page have them, 0..1."""
    common, alone = _common(encoding), encoding in _ALONE
    foreign = fitting = 0
    for before, character, after in _neighbours(words):
        beside_latin = any(c.isascii() and c.isalpha() for c in (before, after))
        foreign += 1
        fitting += character in common and beside_latin == alone
    return fitting / max(1, foreign)


@cache
def _common(encoding: str) -> frozenset[str]:
    """The common characters of a page."""
    what = CODE_PAGES[encoding]
    if isinstance(what, str):
        return frozenset(what + what.upper())
    codes = (bytes((first, second)) for first in what for second in range(0x40, 0xFF))
    return frozenset(code.decode(encoding, "ignore") for code in codes)


def _neighbours(words: list[str]) -> Iterator[tuple[str, str, str]]:
    """The first other-than-ASCII characters, each between the two beside it."""
    triples = (t for w in words for t in zip(f" {w}", w, f"{w[1:]} ", strict=False))
    return islice((t for t in triples if not t[1].isascii()), _LOOKED_AT)


def _decode_patiently(text: bytes | str, strict: Exception) -> Any:
    """Read what Python's own module reads: NaN, Infinity, numbers of any size."""
    try:
        if len(text) > MOST_PATIENT_BYTES:
            raise ValueError
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair can't be written
    except UnicodeEncodeError:
        raise ValueError("holds half a surrogate pair") from None
    except ValueError:
        raise ValueError(str(strict).splitlines()[0]) from None
    return value


def _repeated_keys(text: bytes | str, value: Any) -> tuple[str, ...]:
    """Keys that stand twice in one object, of which only the last is in `value`."""
    count = _count_keys(value)
    colons = text.count(b":") if isinstance(text, bytes) else text.count(":")
    if colons == count:
        return ()  # one follows every key; those in texts need a closer look
    keys = _BYTE_KEYS.findall(text) if isinstance(text, bytes) else _KEYS.findall(text)
    if len(keys) == count or len(text) > MOST_PATIENT_BYTES:
        return ()  # counting is cheap, and the numbers differ wherever a key was lost
    repeated: dict[str, None] = {}

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            repeated.update(dict.fromkeys(key for key, n in counts.items() if n > 1))
        return result

    json.loads(text, object_pairs_hook=look)
    return tuple(repeated)


def _count_keys(value: Any) -> int:
    """Number of keys in all objects; lists that begin with points or numbers hold none."""
    count, inner = 0, [value]
    for one in inner:  # grows while it is walked through
        if type(one) is dict:
            count += len(one)
            inner += [v for v in one.values() if type(v) is dict or type(v) is list]
        elif type(one) is list and one and type(one[0]) in (dict, list):
            first = one[0]
            if not (type(first) is list and first and type(first[0]) in (float, int)):
                inner += one
    return count
