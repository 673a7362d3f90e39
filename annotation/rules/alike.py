"""Photos that are in the set twice, or almost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from annotation.findings import Complaint
from annotation.photos.likeness import near_pairs

Firsts = dict[int, list[tuple[int, str]]]  # by hash: photo and group, for the first two groups


@dataclass(frozen=True, slots=True)
class ComparedPhoto:
    """A photo by its name below `images/`, with the SHA-256 of its bytes and its perceptual hash.

    Either is None if it is unknown or the photo cannot be compared.
    """

    name: str
    digest: bytes | None = None
    likeness: int | None = None


def alike_complaints(
    photos: Sequence[ComparedPhoto], groups: Mapping[str, str], distance: int
) -> Iterator[tuple[int, Complaint]]:
    """Report photos that repeat an earlier one: the index of the photo and the complaint.

    Each photo is reported at most once. Photos of one of the `groups`, by name, are expected to be
    alike. `distance` is the most bits in which the hashes of near-duplicates differ.
    """
    copies = dict(_copies(photos))
    for index, earlier in copies.items():
        message = f"has the same bytes as {photos[earlier].name}"
        fix = "delete one of the two, with its Labelme file"
        yield index, Complaint("photo-duplicate", None, message, fix)
    # file names contain no line feed, so no photo is in the group of another photo by accident
    group = [groups.get(one.name, f"\n{one.name}") for one in photos]
    hashes = {
        i: one.likeness
        for i, one in enumerate(photos)
        if i not in copies and one.likeness is not None
    }
    for index, earlier in _near(hashes, group, distance):
        bits = (hashes[index] ^ hashes[earlier]).bit_count()
        message = f"looks like {photos[earlier].name}: {bits} of 64 bits of their hashes differ"
        fix = "delete one of the two, or put both into one group in split.group_by"
        yield index, Complaint("photo-near-duplicate", None, message, fix)


def _copies(photos: Sequence[ComparedPhoto]) -> Iterator[tuple[int, int]]:
    """Find photos with the same bytes as an earlier one: the index of both."""
    first: dict[bytes, int] = {}
    for index, one in enumerate(photos):
        if one.digest is not None and (earlier := first.setdefault(one.digest, index)) != index:
            yield index, earlier


def _near(
    hashes: Mapping[int, int], group: Sequence[str], distance: int
) -> Iterator[tuple[int, int]]:
    """Find photos that look like an earlier one of another group: the index of both.

    The earlier one is the most similar. Equal hashes are compared only once, because a camera that
    does not move takes thousands of equal photos.
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
            for earlier, of in firsts[other]
            if earlier < index and of != group[index]
        ]
        if found:
            yield index, min(found)[1]
