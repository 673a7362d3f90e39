"""The error that a user's mistake raises, and the suggestions it makes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """A user's mistake: the message says file, place, what was expected and what was found."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the known name closest to `name`, else the known names."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(names)}" if len(names) <= 12 else ""
