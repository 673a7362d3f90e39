"""The list of the photos in the folder that Labelme opens, from which a session is recovered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from annotation.dataset import Dataset
from base.errors import InputError
from base.parsing import parse, read_json, write_json

FOLDER = ".annotate"  # in the data set, so that it is found again after a crash


@dataclass(frozen=True)
class SessionItem:
    """One photo in the folder: `link` is relative to it, the other paths to the data set.

    `stamp` is the modification time (ns) of the annotation to which the copy is equal, unless
    Labelme has saved it since; None if the annotation does not exist.
    """

    link: str
    photo: str
    annotation: str
    stamp: int | None


@dataclass(frozen=True)
class _SessionFile:
    items: tuple[SessionItem, ...]


def write_items(path: Path, items: Iterable[SessionItem]) -> None:
    """Write the list; it survives a power cut. Raises OSError if it cannot be written."""
    write_json(path, _SessionFile(tuple(items)), indent=2, durable=True)


def read_items(path: Path, dataset: Dataset) -> tuple[SessionItem, ...]:
    """Read the list that an interrupted session left.

    Raises InputError if it is damaged, or names a path outside the data set.
    """
    try:
        items = parse(_SessionFile, read_json(path), where=str(path)).items
        for item in items:
            for name in (item.photo, item.annotation, f"{FOLDER}/{item.link}"):
                dataset.inside(name, where=str(path))
    except InputError as error:
        hint = "look for annotations in that folder, then delete it"
        raise InputError(f"{error}; an interrupted `annotate` left it: {hint}") from None
    return items
