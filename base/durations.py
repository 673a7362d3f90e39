"""Durations as people write them: 90s, 10m and 2h in options; 40 s and 12 min in messages."""

from __future__ import annotations

import re

from base.errors import InputError

_SECONDS = {"s": 1, "m": 60, "h": 3600}


def parse_duration(text: str, *, where: str) -> float:
    """Convert a number with the unit s, m or h, such as 1.5h, to seconds.

    Raises InputError, which names `where`, if `text` is anything else or is not more than 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if not seconds:
        raise InputError(f"{where}: expected a time such as 90s, 10m or 2h, found '{text}'")
    return seconds


def duration(seconds: float) -> str:
    """Format seconds as 40 s, 12 min or 3 h 05 min."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"
