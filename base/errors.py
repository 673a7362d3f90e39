"""The error for users' mistakes, and suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Iterable

_LEAST_SIMILARITY = 50  # percent, for a name to be suggested
_MOST_LISTED = 12


class InputError(Exception):
    """A mistake in the user's input.

    The message names the file and the place, what was expected and what was found.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name.

    This is "; did you mean 'x'?" with the most similar known name. If no name is similar, it lists
    the known names unless there are many.
    """
    from rapidfuzz import fuzz, process  # needed only for error messages

    names = list(known)
    found = process.extractOne(name, names, scorer=fuzz.ratio, score_cutoff=_LEAST_SIMILARITY)
    if found is not None:
        return f"; did you mean '{found[0]}'?"
    return f"; known: {', '.join(names)}" if len(names) <= _MOST_LISTED else ""
