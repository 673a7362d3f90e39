"""Messages about values that do not fit a dataclass, made from those of msgspec."""

from __future__ import annotations

import dataclasses
import re
import sys
import types
import typing
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

_WORDS = {
    **{"object": "a mapping", "array": "a list", "str": "a string", "bool": "true or false"},
    **{"int": "an integer", "float": "a number", "null": "nothing"},
}
_PLACE = re.compile(r"(?P<text>.*) - at `(?:key` in `)?\$(?P<path>.*)`", re.DOTALL)
_STEP = re.compile(r"\[(?P<index>\d+|\.\.\.)\]|\.(?P<key>[^.\[]+)")
_LONGEST = 60  # characters of a string, or bits of a number, that are shown
_UNKNOWN = object()

Step = str | int | None  # a key, an index, or None for a value of a mapping with any keys


def describe_mismatch(error: str, kind: Any, data: Any) -> str:
    """Return a message of msgspec about `data`, converted to `kind`, in the words of this project.

    The place comes first, then what was expected and what was found.
    """
    match = _PLACE.fullmatch(error)
    text, path = (match["text"], match["path"]) if match else (error, "")
    steps = [_step(one) for one in _STEP.finditer(path)]
    place = "".join(
        f"[{one}]" if isinstance(one, int) else f": {one}" for one in steps if one is not None
    )
    message = _message(text, kind, data, steps)
    return f"{place.removeprefix(': ')}: {message}" if place else message


def _step(match: re.Match[str]) -> Step:
    if match["key"] is not None:
        return match["key"]
    return None if match["index"] == "..." else int(match["index"])


def _message(text: str, kind: Any, data: Any, steps: Sequence[Step]) -> str:
    if missing := re.fullmatch(r"Object missing required field `(.*)`", text):
        return f"expected the key '{missing[1]}', found none"
    if wrong := re.fullmatch(r"Invalid enum value (.*)", text, re.DOTALL):
        choices = ", ".join(str(one) for one in _choices(kind, steps))
        return f"expected one of {choices}, found {wrong[1]}" if choices else f"unknown {wrong[1]}"
    if not text.startswith("Expected `"):
        return text  # of a check in the dataclass itself
    expected, _, found = text.partition(", got ")
    shown = _shown(_value(data, steps)) or _in_words(found)
    message = f"e{_in_words(expected)[1:]}"
    return f"{message}, found {shown}" if shown else message


def _in_words(text: str) -> str:
    """Replace the names of types: `str | array | null` by 'a string or a list'."""

    def words(match: re.Match[str]) -> str:
        names = match[1].removesuffix(" | null").split(" | ")
        return " or ".join(_WORDS.get(name, name) for name in names)

    return re.sub(r"`([^`]*)`", words, text)


def _value(data: Any, steps: Sequence[Step]) -> Any:
    """Return the value at a place; _UNKNOWN if the place is not exact."""
    for step in steps:
        try:
            data = data[step]
        except (LookupError, TypeError):
            return _UNKNOWN
    return data


def _shown(value: Any) -> str:
    """Return a short value as text; an empty text for others."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) or (isinstance(value, int) and value.bit_length() < _LONGEST):
        return str(value)
    return f"'{value}'" if isinstance(value, str) and len(value) <= _LONGEST else ""


def _choices(kind: Any, steps: Sequence[Step]) -> tuple[Any, ...]:
    """Return the values of the Literal at a place in the type `kind`; empty if there is none."""
    kinds = list(_alternatives(kind))
    for step in steps:
        kinds = [inner for one in kinds for inner in _alternatives(_inner(one, step))]
    literals = [one for one in kinds if typing.get_origin(one) is typing.Literal]
    return tuple(choice for one in literals for choice in typing.get_args(one))


def _inner(kind: Any, step: Step) -> Any:
    """Return the type of a field, of an item, or of a mapping's values."""
    if dataclasses.is_dataclass(kind):
        written = {field.name: field.type for field in dataclasses.fields(kind)}
        return resolved_type(written.get(str(step)), kind)
    items = [one for one in typing.get_args(kind) if one is not Ellipsis]
    return items[-1] if items else None


def _alternatives(kind: Any) -> Iterator[Any]:
    """Yield the members of a union, without annotations."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        yield from _alternatives(args[0])
    elif origin in (typing.Union, types.UnionType):
        for one in args:
            yield from _alternatives(one)
    else:
        yield kind


def resolved_type(written: Any, kind: Any) -> Any:
    """Evaluate the annotation of one field; evaluating all of them takes longer than parsing."""
    if not isinstance(written, str):
        return written
    holder = SimpleNamespace(__annotations__={"field": written})
    return typing.get_type_hints(holder, vars(sys.modules[kind.__module__]))["field"]
