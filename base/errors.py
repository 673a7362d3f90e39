"""The error for users' mistakes, and suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Iterable

_LEAST_SIMILARITY = 0.55  # share of letters that are not typos, for a name to be suggested
_LEAST_PREFIX = 4  # letters of a name that begins another one
_MOST_LISTED = 12


class InputError(Exception):
    """A mistake in the user's input.

    The message names the file and the place, what was expected and what was found.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name.

    This is "; did you mean 'x'?" with the most similar known name, or one that begins with `name`.
    If no name is similar, it lists the known names unless there are many.
    """
    from rapidfuzz import process  # needed only for error messages
    from rapidfuzz.distance import OSA

    names = list(known)
    similarity = OSA.normalized_similarity
    close = process.extractOne(
        name, names, scorer=similarity, processor=str.casefold, score_cutoff=_LEAST_SIMILARITY
    )
    begun = (one for one in names if len(name) >= _LEAST_PREFIX and one.startswith(name))
    found = next(begun, None) if close is None else close[0]
    if found is not None:
        return f"; did you mean '{found}'?"
    return f"; known: {', '.join(names)}" if len(names) <= _MOST_LISTED else ""
