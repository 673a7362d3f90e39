"""The file boundary: atomic writing, strict YAML, safe paths, content hashes.

Every room uses it, so it lives in the one room that imports no other.
"""

from __future__ import annotations

import dataclasses
import difflib
import fcntl
import hashlib
import os
import stat
import sys
import typing
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from secrets import token_hex
from types import SimpleNamespace
from typing import Any, TypeVar

import msgspec
import yaml

T = TypeVar("T")
_SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, in C where it was built


class InputError(Exception):
    """A user's mistake: the message says file, place, what was expected and what was found."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place when the block ends well."""
    folder = os.path.dirname(path)  # noqa: PTH120 (is called for every photo)
    if folder:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    temporary = Path(folder, f".{token_hex(8)}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def locked(path: Path, message: str) -> Iterator[None]:
    """Hold the lock file `path`; InputError with the message where another process does.

    The system lets go of it however the process ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(message) from None
        yield


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any, *, indent: int = 0) -> None:
    """Write plain values, dataclasses included, as UTF-8 JSON."""
    encoded = msgspec.json.encode(value)
    write_bytes(path, msgspec.json.format(encoded, indent=indent) if indent else encoded)


def read_json(path: Path) -> Any:
    """Decode one JSON file; InputError where it is missing or no JSON."""
    try:
        return msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no JSON: {error}") from None


def read_yaml(path: Path, cls: type[T]) -> T:
    """Parse one YAML file into the frozen dataclass `cls`; unknown keys are rejected."""
    return parse(cls, load_yaml(path), where=str(path))


def load_yaml(path: Path) -> Any:
    """Plain values of one YAML file; InputError where it is missing or no YAML."""
    try:
        data = yaml.load(path.read_text("utf-8"), _SAFE)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no YAML: {error}") from None
    return {} if data is None else data


def write_yaml(path: Path, value: Any) -> None:
    """Write a dataclass as YAML, keys in the order of its fields."""
    plain = msgspec.to_builtins(value)
    write_bytes(path, yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).encode())


def parse(cls: type[T], data: Any, *, where: str) -> T:
    """Turn plain values into the dataclass `cls`; InputError says `where` and which key."""
    _reject_unknown_keys(cls, data, where)
    try:
        return msgspec.convert(data, cls, strict=False)  # YAML 1.1 takes 1e-4 for a word
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {error}") from None


def _reject_unknown_keys(kind: Any, data: Any, where: str) -> None:
    if dataclasses.is_dataclass(kind) and isinstance(data, dict):
        types = {field.name: field.type for field in dataclasses.fields(kind)}
        for key, value in data.items():
            if key not in types:
                raise InputError(f"{where}: unknown key '{key}'{nearest(str(key), types)}")
            if isinstance(value, dict | list):
                _reject_unknown_keys(_resolved(types[key], kind), value, f"{where}: {key}")
    elif isinstance(data, list):
        for item_kind in typing.get_args(kind)[:1]:
            for index, item in enumerate(data):
                _reject_unknown_keys(item_kind, item, f"{where}[{index}]")


def _resolved(written: Any, kind: Any) -> Any:
    """One type as a class's module means it; all types of the class take longer than the file."""
    if not isinstance(written, str):
        return written
    alone = SimpleNamespace(__annotations__={"one": written})
    return typing.get_type_hints(alone, vars(sys.modules[kind.__module__]))["one"]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the known name closest to `name`, else the known names."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(names)}" if len(names) <= 12 else ""


def inside(folder: Path, relative: str, *, where: str) -> Path:
    """Join a path read from a data file to `folder`; InputError where it leads out of it.

    Backslashes count as separators, since Labelme on Windows writes them. The path itself is
    judged, with its `..` resolved by name: links that the user has put into a folder are followed.
    """
    path = os.path.normpath(relative.replace("\\", "/"))
    leaves = path.split("/")[0] == ".." or path.startswith("/") or PureWindowsPath(path).drive
    if leaves or "\0" in path:
        raise InputError(f"{where}: path must stay in {folder}, got '{relative}'")
    return folder / path


def check_regular(path: Path, *, most_bytes: int) -> None:
    """Refuse what reading would never end of: pipes, devices, absurdly large files.

    Raises InputError without the path, or OSError.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise InputError("is no regular file")
    if status.st_size > most_bytes:
        raise InputError(f"expected at most {most_bytes >> 20} MB, got {status.st_size >> 20} MB")


def digest(*parts: bytes | str | Path) -> str:
    """SHA-256 over strings, bytes and the contents of files, in order, as 64 hex digits."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            data = part.read_bytes() if part.exists() else b""
        else:
            data = part.encode() if isinstance(part, str) else part
        total.update(hashlib.sha256(data).digest())
    return total.hexdigest()
