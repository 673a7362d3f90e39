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
from base.files import write_bytes
from base.mismatches import describe_mismatch, resolved_type

T = TypeVar("T")
# the faster one in C, if it is installed
_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SAFE):  # type: ignore[misc]
    """Refuses keys that appear twice in a mapping, of which PyYAML would use the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in keys:
                    line = key.start_mark.line + 1
                    raise yaml.YAMLError(f"line {line}: the key '{key.value}' appears twice")
                keys.add((key.tag, key.value))
        return dict(super().construct_mapping(node, deep=deep))


def write_json(path: Path, value: Any, *, indent: int = 0) -> None:
    """Write plain values, dataclasses included, as UTF-8 JSON."""
    encoded = msgspec.json.encode(value)
    write_bytes(path, msgspec.json.format(encoded, indent=indent) if indent else encoded)


def read_json(path: Path) -> Any:
    """Decode a JSON file.

    Raises InputError if it cannot be read or is not valid JSON.
    """
    try:
        return msgspec.json.decode(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
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
        data = yaml.load(path.read_text("utf-8"), _Loader)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not valid YAML: {error}") from None
    return {} if data is None else data


def write_yaml(path: Path, value: Any) -> None:
    """Write a dataclass as YAML, with its keys in the order of the fields."""
    plain = msgspec.to_builtins(value)
    write_bytes(path, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).encode())


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
                raise InputError(f"{where}: unknown key '{key}'{nearest(str(key), types)}")
            if isinstance(value, dict | list):
                _reject_unknown_keys(resolved_type(types[key], kind), value, f"{where}: {key}")
    elif isinstance(data, list):
        for item_kind in typing.get_args(kind)[:1]:
            for index, item in enumerate(data):
                _reject_unknown_keys(item_kind, item, f"{where}[{index}]")
