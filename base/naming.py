"""Readable names for photos that every system can store, unique in one flat folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_FORBIDDEN = frozenset('<>:"/\\|?*')  # on Windows; the slashes everywhere
_JOINERS = "\u200c\u200d"  # invisible, but letters of some scripts and emoji need them
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\.|$)", re.IGNORECASE)
_LONGEST = 180  # bytes: leaves room below 255 for a number, a suffix and a temporary name


def path_parts(path: str) -> list[str]:
    """The folders and the name in a path of any system, without what only navigates."""
    parts = [part.strip() for part in re.split(r"[/\\]", path)]
    return [p for p in parts if p not in ("", ".", "..") and not re.fullmatch("[A-Za-z]:", p)]


def printable(text: str) -> str:
    """The text with a `_` for each character that a line, a terminal or UTF-8 cannot hold."""
    return "".join("_" if _is_unseen(c) else c for c in text)


def readable_stem(path: str) -> str:
    """`holiday/IMG 1.jpg` becomes `holiday_IMG 1`: the path's parts as one portable file stem."""
    *folders, name = path_parts(path) or ["photo"]
    stem, dot, _ = name.rpartition(".")
    parts = [_portable(part) for part in (*folders, stem if dot else name)]
    parts = [part for part in parts if part] or ["photo"]
    while len("_".join(parts).encode()) > _LONGEST and len(parts) > 1:
        parts = parts[1:]  # the last parts say most
    joined = "_".join(parts).encode()[:_LONGEST].decode(errors="ignore").rstrip(". ")
    return f"_{joined}" if _RESERVED.match(joined) else joined


def _portable(part: str) -> str:
    """NFC, so that one name has one spelling; Windows strips spaces and dots at the end."""
    normal = unicodedata.normalize("NFC", printable(part))
    return "".join("_" if c in _FORBIDDEN else c for c in normal).strip(". ")


def _is_unseen(character: str) -> bool:
    """Control characters, halves of surrogates, line ends, marks that turn the text around."""
    kind = unicodedata.category(character)
    return kind in ("Cc", "Cs", "Zl", "Zp") or (kind == "Cf" and character not in _JOINERS)


class Names:
    """The stems in use. Labelme finds a photo's JSON by stem, and Windows sees no case."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = {fold(stem) for stem in taken}
        self._last: dict[str, int] = {}

    def take(self, wish: str) -> str:
        """The wished stem, or with the first free number behind it: `a`, `a-2`, `a-3`."""
        number = self._last.get(fold(wish), 0) + 1
        stem = wish if number == 1 else f"{wish}-{number}"
        while fold(stem) in self._taken:
            number += 1
            stem = f"{wish}-{number}"
        self._taken.add(fold(stem))
        self._last[fold(wish)] = number
        return stem


def fold(name: str) -> str:
    """Return a name without case and Unicode form, which differ between file systems."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()
