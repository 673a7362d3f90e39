"""A set that is ready to be placed, and the two files that describe it: manifest and splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from annotation.dataset import Dataset
from base.files import read_regular
from conversion.building.contents import Contents
from conversion.building.group_file import GroupFile
from conversion.building.leaks import Leak, find_leaks
from conversion.building.split import rule_of
from conversion.coco.categories import Category, category_values
from conversion.config import ConversionConfig


@dataclass(frozen=True)
class BuildResult:
    """What `convert` did; `fresh` is False if the set was already up to date.

    `changes` counts what the set's rules changed: hidden and dropped things, and pixels.
    `left_out` lists annotation files and reasons. `leaks` are photos of other splits that have a
    twin in train. `repaired` are files below `panoptic/` that had been changed since they were
    built, and were built again.
    """

    fresh: bool
    photos: dict[str, int]
    segments: int
    changes: dict[str, int]
    left_out: tuple[tuple[str, str], ...] = ()
    leaks: tuple[Leak, ...] = ()
    repaired: tuple[str, ...] = ()

    def recorded(self) -> dict[str, Any]:
        """Return the values that the manifest contains: those that depend only on the input."""
        values = asdict(self)
        return {name: values[name] for name in values if name not in ("fresh", "repaired")}


@dataclass(frozen=True)
class PreparedSet:
    """A set whose photos are all painted and assigned to splits."""

    dataset: Dataset
    config: ConversionConfig
    contents: Contents
    groups: GroupFile
    left_out: tuple[tuple[str, str], ...]
    categories: tuple[Category, ...]
    versions: Mapping[str, str]

    @property
    def folder(self) -> Path:
        return self.dataset.panoptic

    def splits(self) -> tuple[str, ...]:
        return tuple(self.config.split.shares)

    def inputs(self) -> str:
        """Return a digest of everything that determines what is built."""
        name, split = self.dataset.config.name, self.config.split
        values = [name, split, category_values(self.categories), self.left_out]
        total = sha256(msgspec.json.encode(values))
        for key, png in self.contents.inputs():
            total.update(key + png.encode() + b"\0")
        return total.hexdigest()

    def result(self) -> BuildResult:
        """Count what the set contains."""
        contents, changes = self.contents, Counter[str]()
        segments = sum(sum(counts.values()) for counts in contents.counts().values())
        for piece in contents.pieces("changes"):
            for name, value in msgspec.json.decode(piece).items():
                changes[name] += len(value) if isinstance(value, list) else value
        sizes = contents.sizes()
        photos = {split: sizes.get(split, 0) for split in self.splits()}
        leaks = find_leaks(self.dataset, contents)
        return BuildResult(True, photos, segments, dict(changes), self.left_out, leaks)


# --- split.json ---


def split_file(prepared: PreparedSet) -> Iterator[bytes]:
    """Yield `split.json`: the rule, and the split of every photo that has been in the set."""
    rule = {"rule": rule_of(prepared.config.split)}
    yield msgspec.json.format(msgspec.json.encode(rule), indent=1)[:-2] + b',\n "photos": {'
    yield from _members(prepared.contents.splits())
    yield b"\n }\n}"


# --- manifest.json ---


class Manifest(msgspec.Struct):
    """The part of a `manifest.json` that is read."""

    inputs: str
    result: dict[str, Any]
    files: dict[str, str] = {}


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; raises OSError or msgspec.DecodeError if that is not possible."""
    return msgspec.json.decode(read_regular(path), type=Manifest)


def manifest(
    prepared: PreparedSet, result: BuildResult, files: Mapping[str, str]
) -> Iterator[bytes]:
    """Yield `manifest.json`: what was built from what, with a line for each photo.

    `files` are digests of the JSON files by path.
    """
    head = {
        "inputs": prepared.inputs(),
        "seed": prepared.config.split.seed,
        "versions": dict(prepared.versions),
        "result": result.recorded(),
        "files": dict(files),
    }
    yield msgspec.json.format(msgspec.json.encode(head), indent=2)[:-2] + b',\n  "photos": {'
    entries = (
        (
            name,
            {
                **{part: digest.hex() for part, digest in digests._asdict().items()},
                "png": png,
                "changes": msgspec.Raw(changes),
            },
        )
        for name, png, digests, changes in prepared.contents.entries()
    )
    yield from _members(entries, indent=4)
    yield b"\n  }\n}\n"


def _members(values: Iterable[tuple[str, Any]], *, indent: int = 2) -> Iterator[bytes]:
    """Yield the members of a JSON object, one per line."""
    comma = b""
    for name, value in values:
        line = msgspec.json.encode(name) + b": " + msgspec.json.encode(value)
        yield comma + b"\n" + b" " * indent + line
        comma = b","
