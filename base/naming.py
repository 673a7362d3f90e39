"""Readable file names that every system can store, unique within one flat folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_FORBIDDEN = frozenset('<>:"/\\|?*')  # on Windows; slashes on all systems
_JOINERS = "\u200c\u200d"  # invisible, but some scripts and emoji need them
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\.|$)", re.IGNORECASE)
_LONGEST = 180  # bytes: leaves room below 255 for a number, a suffix and a temporary name


def path_parts(path: str) -> list[str]:
    """Split a path from any system into folders and name, without `.`, `..` and drive letters."""
    parts = [part.strip() for part in re.split(r"[/\\]", path)]
    return [p for p in parts if p not in ("", ".", "..") and not re.fullmatch("[A-Za-z]:", p)]


def printable(text: str) -> str:
    """Replace characters that are not safe in a line, a terminal or UTF-8 with `_`."""
    return "".join("_" if _is_unprintable(c) else c for c in text)


def readable_stem(path: str) -> str:
    """Join the parts of a path to a portable file stem: `holiday/IMG 1.jpg` to `holiday_IMG 1`."""
    *folders, name = path_parts(path) or ["photo"]
    stem, dot, _ = name.rpartition(".")
    parts = [_portable(part) for part in (*folders, stem if dot else name)]
    parts = [part for part in parts if part] or ["photo"]
    while len("_".join(parts).encode()) > _LONGEST and len(parts) > 1:
        parts = parts[1:]  # the last parts are the most specific
    joined = "_".join(parts).encode()[:_LONGEST].decode(errors="ignore").rstrip(". ")
    return f"_{joined}" if _RESERVED.match(joined) else joined


def _portable(part: str) -> str:
    """Normalise a part to NFC and strip dots and spaces, which Windows drops at the end."""
    normal = unicodedata.normalize("NFC", printable(part))
    return "".join("_" if c in _FORBIDDEN else c for c in normal).strip(". ")


def _is_unprintable(character: str) -> bool:
    """Return whether a character is a control, surrogate, line separator or direction mark."""
    kind = unicodedata.category(character)
    return kind in ("Cc", "Cs", "Zl", "Zp") or (kind == "Cf" and character not in _JOINERS)


class Names:
    """The file stems in use: Labelme finds the JSON file by stem, and Windows ignores case."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = {fold(stem) for stem in taken}
        self._last: dict[str, int] = {}

    def take(self, wanted: str) -> str:
        """Reserve the wanted stem, or the first free one with a number: `a`, `a-2`, `a-3`."""
        number = self._last.get(fold(wanted), 0) + 1
        stem = wanted if number == 1 else f"{wanted}-{number}"
        while fold(stem) in self._taken:
            number += 1
            stem = f"{wanted}-{number}"
        self._taken.add(fold(stem))
        self._last[fold(wanted)] = number
        return stem


def fold(name: str) -> str:
    """Return a name without differences in case and Unicode form, which some systems ignore."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()
