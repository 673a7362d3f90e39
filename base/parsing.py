"""Parsing JSON and YAML files into frozen dataclasses, safely; unknown keys are errors."""

from __future__ import annotations

import codecs
import dataclasses
import typing
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from base.errors import InputError, nearest
from base.files import read_regular, write_bytes
from base.mismatches import describe_mismatch, resolved_type
from base.naming import printable

T = TypeVar("T")
MOST_JSON_BYTES = 4 << 30  # the largest file of COCO has 0.5 GB
_MOST_BYTES = 16 << 20  # of a YAML file
_MOST_NODES = 1_000_000  # of a YAML file, with its aliases resolved
_MOST_LEVELS = 100  # of a YAML file; libyaml crashes at some 10,000
_LONGEST_NUMBER = 1000  # characters: PyYAML needs hours for `1:1:1:...`, a number to the base 60
_SMALLEST, _LARGEST = -(1 << 63), (1 << 64) - 1  # integers, as in JSON
# errors that PyYAML raises for a value that does not have its explicit tag, such as `!!bool x`, and
# for numbers and dates that Python does not have
_INVALID = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
# the faster one in C, if it is installed
_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# what PyYAML reports about frequent mistakes, and what a person should know
_MISTAKES = {
    "found a tab character": "expected spaces, found a tab",
    "mapping values are not allowed": "expected no second ':'; if it belongs to the value, put the"
    " value into quotes; if not, this line is indented too far",
    "expected ',' or ']'": "expected ',' or ']' in the list that starts in line {start}",
    "expected ',' or '}'": "expected ',' or '}}' in the mapping that starts in line {start}",
    "unexpected end of stream": "expected a quote that ends the text from line {start}",
    "cannot start any token": "expected quotes around a value that starts with this character",
    "did not find expected key": "expected a key, indented like those above it",
    "expected '-' indicator": "expected '-', as in the list that starts in line {start}",
    "found undefined alias": "expected quotes around a value that starts with '*'",
}


class _Loader(_SAFE):  # type: ignore[misc]
    """Refuses keys that appear twice in a mapping, of which PyYAML would use the last.

    It also refuses integers of more than 64 bits, and gives errors about values their place.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        number = node.tag.endswith((":int", ":float"))
        if number and len(node.value) > _LONGEST_NUMBER:
            raise _invalid(node, f"expected a number of at most {_LONGEST_NUMBER} characters")
        try:
            value = super().construct_object(node, deep)
        except _INVALID as error:
            reason = str(error) if isinstance(error, ValueError) else ""
            raise _invalid(node, reason) from None
        if isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
            raise _invalid(node, "expected an integer of at most 64 bits")
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in keys:
                    line = key.start_mark.line + 1
                    raise yaml.YAMLError(f"line {line}: the key '{key.value}' appears twice")
                keys.add((key.tag, key.value))
        return dict(super().construct_mapping(node, deep=deep))


def _invalid(node: yaml.Node, reason: str) -> yaml.MarkedYAMLError:
    kind = node.tag.rpartition(":")[2]
    problem = f"not a valid value of the type {kind}{reason and ': '}{reason}"
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def write_json(path: Path, value: Any, *, indent: int = 0, durable: bool = False) -> None:
    """Write plain values, dataclasses included, as UTF-8 JSON; `durable` as in `replacing`."""
    write_bytes(path, encode_json(value, indent=indent), durable=durable)


def encode_json(value: Any, *, indent: int = 0) -> bytes:
    """Encode plain values, dataclasses included, as UTF-8 JSON."""
    encoded = msgspec.json.encode(value)
    return msgspec.json.format(encoded, indent=indent) if indent else encoded


def read_json(path: Path) -> Any:
    """Decode a JSON file.

    Raises InputError if it cannot be read, is too large or is not valid JSON.
    """
    try:
        data = read_regular(path, most_bytes=MOST_JSON_BYTES)
        return msgspec.json.decode(data.removeprefix(codecs.BOM_UTF8))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except RecursionError:
        raise InputError(f"{path}: is not valid JSON: nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not valid JSON: {error}") from None


def read_yaml(path: Path, cls: type[T]) -> T:
    """Parse a YAML file into the frozen dataclass `cls`.

    Raises InputError for a file that cannot be read, wrong values and unknown keys.
    """
    return parse(cls, load_yaml(path), where=str(path))


def load_yaml(path: Path) -> Any:
    """Read a YAML file as plain values; an empty file is an empty mapping.

    Raises InputError if it cannot be read or is not valid YAML.
    """
    try:
        text = read_regular(path, most_bytes=_MOST_BYTES).decode()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not valid YAML: {error}") from None
    data = parse_yaml(text, where=str(path))
    return {} if data is None else data


def parse_yaml(text: str, *, where: str) -> Any:
    """Parse YAML as plain values. Raises InputError, which names `where`, if it is not valid."""
    try:
        _check_structure(text)
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, *_INVALID) as error:
        raise InputError(f"{where}: is not valid YAML: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Return the place and the reason of an error in one line."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    place = error.problem_mark
    start = (error.context_mark or place).line + 1
    problem = error.problem or "cannot be read"
    known = next((text for found, text in _MISTAKES.items() if found in problem), None)
    reason = problem if known is None else known.format(start=start)
    return f"line {place.line + 1}, column {place.column + 1}: {reason}"


def _check_structure(text: str) -> None:
    """Raise ValueError for YAML that would crash the parser or fill the memory."""
    sizes: dict[str | None, int] = {}  # by anchor
    inner: list[tuple[str | None, int]] = [(None, 0)]  # anchor and size of the open collections
    for event in yaml.parse(text, _SAFE):
        if isinstance(event, yaml.CollectionStartEvent):
            inner.append((event.anchor, 1))
            if len(inner) > _MOST_LEVELS:
                raise ValueError("nested too deeply")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = inner.pop()
        elif isinstance(event, yaml.NodeEvent):
            anchor, size = event.anchor, 1
        else:
            continue
        if isinstance(event, yaml.AliasEvent):
            if any(outer == anchor for outer, _ in inner):
                raise ValueError(f"the value of &{anchor} contains itself")
            size = sizes.get(anchor, 1)
        elif anchor is not None:
            sizes[anchor] = size
        inner[-1] = (inner[-1][0], inner[-1][1] + size)
        if inner[-1][1] > _MOST_NODES:
            raise ValueError(f"more than {_MOST_NODES:,} values")


def write_yaml(path: Path, value: Any, *, comment: str = "") -> None:
    """Write a dataclass as YAML, with its keys in the order of the fields; a person edits it.

    `comment` is written above it.
    """
    plain = msgspec.to_builtins(value)
    text = comment + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    write_bytes(path, text.encode(), durable=True)


def parse(cls: type[T], data: Any, *, where: str) -> T:
    """Convert plain values to the dataclass `cls`.

    Raises InputError, which names `where` and the key, for a wrong value or an unknown key.
    """
    _reject_unknown_keys(cls, data, where)
    try:
        return msgspec.convert(data, cls, strict=False)  # YAML 1.1 reads 1e-4 as a string
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {describe_mismatch(str(error), cls, data)}") from None


def _reject_unknown_keys(kind: Any, data: Any, where: str) -> None:
    if dataclasses.is_dataclass(kind) and isinstance(data, dict):
        types = {field.name: field.type for field in dataclasses.fields(kind)}
        for key, value in data.items():
            if key not in types:
                shown = printable(str(key))
                raise InputError(f"{where}: unknown key '{shown}'{nearest(shown, types)}")
            if isinstance(value, dict | list):
                _reject_unknown_keys(resolved_type(types[key], kind), value, f"{where}: {key}")
    elif isinstance(data, list):
        for item_kind in typing.get_args(kind)[:1]:
            for index, item in enumerate(data):
                _reject_unknown_keys(item_kind, item, f"{where}[{index}]")
