"""Duplicate and near-duplicate photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from annotation.findings import Complaint
from annotation.photos.likeness import near_pairs

Firsts = dict[int, list[tuple[int, str]]]  # by hash: photo and group, for the first two groups


@dataclass(frozen=True, slots=True)
class ComparedPhoto:
    """A photo by its name below `images/`, with the SHA-256 of its bytes and its perceptual hash.

    Each of them is None if it is unknown or the photo cannot be compared.
    """

    name: str
    digest: bytes | None = None
    likeness: int | None = None


def alike_complaints(
    photos: Sequence[ComparedPhoto], groups: Mapping[str, str], distance: int
) -> Iterator[tuple[int, Complaint]]:
    """Yield the index of each photo that repeats an earlier one, and the complaint.

    Each photo is reported at most once. Photos with the same group in `groups`, by name, are
    expected to be similar. Hashes of near-duplicates differ in at most `distance` bits.
    """
    copies = dict(_copies(photos))
    for index, earlier in copies.items():
        twin = photos[earlier].name
        message = f"has the same bytes as {twin}"
        fix = "delete one of the two, with its Labelme file"
        yield index, Complaint("photo-duplicate", None, message, fix, twin=twin)
    # file names contain no line feed, so a name is never the group of another photo by accident
    group = [groups.get(one.name, f"\n{one.name}") for one in photos]
    hashes = {
        i: one.likeness
        for i, one in enumerate(photos)
        if i not in copies and one.likeness is not None
    }
    for index, earlier in _near(hashes, group, distance):
        bits = (hashes[index] ^ hashes[earlier]).bit_count()
        twin = photos[earlier].name
        message = f"looks like {twin}: {bits} of 64 bits of their hashes differ"
        fix = "delete one of the two, or put both into one group in split.group_by"
        yield index, Complaint("photo-near-duplicate", None, message, fix, twin=twin)


def _copies(photos: Sequence[ComparedPhoto]) -> Iterator[tuple[int, int]]:
    """Yield the indices of each photo with the same bytes as an earlier one, and of that one."""
    first: dict[bytes, int] = {}
    for index, one in enumerate(photos):
        if one.digest is not None and (earlier := first.setdefault(one.digest, index)) != index:
            yield index, earlier


def _near(
    hashes: Mapping[int, int], group: Sequence[str], distance: int
) -> Iterator[tuple[int, int]]:
    """Yield the indices of each photo that looks like one of another group, and of that one.

    The other photo is the most similar earlier one. Equal hashes are compared only once, because a
    static camera takes thousands of equal photos.
    """
    firsts: Firsts = {}
    for index, code in hashes.items():
        known = firsts.setdefault(code, [])
        if len(known) < 2 and group[index] not in (one for _, one in known):
            known.append((index, group[index]))
    codes = list(firsts)
    near = {code: [code] for code in codes}
    for a, b in near_pairs(codes, distance):
        near[codes[a]].append(codes[b])
        near[codes[b]].append(codes[a])
    for index, code in hashes.items():
        found = [
            ((code ^ other).bit_count(), earlier)
            for other in near[code]
            for earlier, its_group in firsts[other]
            if earlier < index and its_group != group[index]
        ]
        if found:
            yield index, min(found)[1]
