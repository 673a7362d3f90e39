"""Photos of one split that have a copy, or a photo like them, in train."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from annotation.dataset import Dataset
from annotation.findings import Complaint
from annotation.photos.likeness import near_pairs
from annotation.rules.cache import open_cache
from annotation.rules.checked import CheckedAnnotation
from base.files import read_regular
from conversion.building.contents import Contents
from conversion.building.groups import perceptual_hashes
from conversion.config import COPIES_PATTERN

MOST_DECODED = 2_000  # photos; in larger sets, only those that `validate` has decoded are compared
LEAK_FIX = "group such photos with split.group_pattern, group_by or near_duplicates"


@dataclass(frozen=True)
class Leak:
    """How many photos of a `split` have a twin in train, of all its `total` photos.

    `photo` is one of them, and `twin` is its twin.
    """

    split: str
    photos: int
    total: int
    photo: str
    twin: str

    @property
    def message(self) -> str:
        """The leak in words."""
        return (
            f"photos of {self.split} that look like photos of train or are copies of them:"
            f" {self.photos:,} of {self.total:,}, for example {self.photo} and {self.twin}; scores"
            f" on {self.split} will be too high"
        )


def find_leaks(dataset: Dataset, contents: Contents) -> tuple[Leak, ...]:
    """Compare the photos of each split with those of train.

    Photos are alike if their files are equal, if their names say that they are copies of one
    original, or if their perceptual hashes are almost equal.
    """
    split_of = {name: split for split in contents.sizes() for name in contents.photos(split)}
    if len(set(split_of.values())) < 2:
        return ()
    digests = {name: digest for name, digest in contents.photo_digests() if digest}
    decode = len(digests) <= MOST_DECODED
    hashes = perceptual_hashes(
        dataset, contents.store.cache, digests, decode=decode, keep_problems=False
    )
    return _count(split_of, twins(split_of, digests, hashes, dataset.config.limits.near_photo))


def twins(
    split_of: Mapping[str, str],
    digests: Mapping[str, bytes],
    hashes: Mapping[str, int],
    distance: int,
) -> dict[str, str]:
    """Return a photo of train that each photo of other splits resembles, if there is one."""
    found: dict[str, str] = {}
    for keys in (digests, _originals(split_of)):
        first = {
            keys[name]: name for name in split_of if name in keys and split_of[name] == "train"
        }
        for name, split in split_of.items():
            if split != "train" and name in keys and keys[name] in first:
                found.setdefault(name, first[keys[name]])
    names = [name for name in split_of if name in hashes]
    for i, j in near_pairs([hashes[name] for name in names], distance):
        for name, other in ((names[i], names[j]), (names[j], names[i])):
            if split_of[name] != "train" and split_of[other] == "train":
                found.setdefault(name, other)
    return found


def _originals(names: Mapping[str, str]) -> dict[str, str]:
    """Return the original of each photo whose name says that it is a copy."""
    matches = ((name, re.search(COPIES_PATTERN, name)) for name in names)
    return {name: match[1] for name, match in matches if match}


def _count(split_of: Mapping[str, str], found: Mapping[str, str]) -> tuple[Leak, ...]:
    totals = Counter(split_of.values())
    leaking: dict[str, list[str]] = {}
    for name in sorted(found):
        leaking.setdefault(split_of[name], []).append(name)
    return tuple(
        Leak(split, len(names), totals[split], names[0], found[names[0]])
        for split, names in sorted(leaking.items())
    )


# --- after the build ---


def find_twins(dataset: Dataset, split_of: Mapping[str, str]) -> dict[str, str]:
    """Return the twin in train of each photo of another split, if the last conversion found any.

    `split_of` has all photos of the set. Nothing is decoded again.
    """
    if not read_leaks(dataset.panoptic):
        return {}
    with open_cache(dataset) as cache:
        digests = {name: cache.digest(dataset.images / name) for name in split_of}
        hashes = perceptual_hashes(dataset, cache, digests, decode=False, keep_problems=False)
    return twins(split_of, digests, hashes, dataset.config.limits.near_photo)


class _Result(msgspec.Struct):
    leaks: tuple[Leak, ...] = ()


class _Manifest(msgspec.Struct):
    result: _Result


def read_leaks(folder: Path) -> Sequence[Leak]:
    """Return the leaks of the set in the folder `panoptic/`; none if it is not built."""
    try:
        data = read_regular(folder / "manifest.json")
        return msgspec.json.decode(data, type=_Manifest).result.leaks
    except (OSError, msgspec.DecodeError, RecursionError):
        return ()


def leak_complaints(
    dataset: Dataset, annotations: Sequence[CheckedAnnotation]
) -> Iterator[Complaint]:
    """Report the leaks that the last conversion found."""
    for leak in read_leaks(dataset.panoptic):
        yield Complaint("split-leak", None, leak.message, LEAK_FIX)
