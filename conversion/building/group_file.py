"""`panoptic/groups.json`: the groups of a set, for programs that divide its splits further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from base.parsing import parse, read_json


@dataclass(frozen=True)
class GroupFile:
    """The groups of at least two photos, each sorted; every other photo is a group of its own.

    `inputs` is a digest of everything that determines the groups.
    """

    inputs: str
    groups: tuple[tuple[str, ...], ...]

    def encode(self) -> bytes:
        """Return the content of the file."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def group_file_path(folder: Path) -> Path:
    """Return the path of `groups.json` in the folder `panoptic/` of a data set."""
    return folder / "groups.json"


def read_groups(folder: Path) -> GroupFile | None:
    """Read `groups.json` in the folder `panoptic/`; None if earlier versions built the set.

    Raises InputError if the file is damaged.
    """
    path = group_file_path(folder)
    return parse(GroupFile, read_json(path), where=str(path)) if path.is_file() else None


def groups_of(folder: Path, names: Sequence[str]) -> list[list[str]]:
    """Return the groups of the photos `names` in the folder `panoptic/`, single photos included.

    Raises InputError as `read_groups` does.
    """
    file, wanted = read_groups(folder), set(names)
    groups = [[name for name in group if name in wanted] for group in file.groups] if file else []
    grouped = {name for group in groups for name in group}
    return [group for group in groups if group] + [[n] for n in names if n not in grouped]
