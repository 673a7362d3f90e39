"""Photos that are in the set twice, or nearly so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from annotation.findings import Complaint
from annotation.photos.likeness import near_pairs
from annotation.rules.pixels import Look

Firsts = dict[int, list[tuple[int, str]]]  # by hash: photo and group, of the first two groups


def alike_complaints(
    names: Sequence[str], looks: Sequence[Look], groups: Mapping[str, str], distance: int
) -> Iterator[tuple[int, Complaint]]:
    """Number of a photo, and which earlier one it repeats; at most one complaint a photo.

    `names` are below images/. Photos of one of the `groups` are meant to be alike. `distance` is
    the number of bits in which the hashes of near-duplicates differ.
    """
    copies = dict(_copies(looks))
    for index, earlier in copies.items():
        message = f"has the same bytes as {names[earlier]}"
        fix = "delete one of the two, with its Labelme file"
        yield index, Complaint("photo-duplicate", None, message, fix)
    # the alphabet of names has no line end, so that a photo is never in another's group
    group = [groups.get(name, f"\n{name}") for name in names]
    hashes = {
        i: one.likeness
        for i, one in enumerate(looks)
        if i not in copies and one.likeness is not None
    }
    for index, earlier in _near(hashes, group, distance):
        bits = (hashes[index] ^ hashes[earlier]).bit_count()
        message = f"looks like {names[earlier]}: {bits} of 64 bits of their hashes differ"
        fix = "delete one of the two, or give both one group in split.group_by"
        yield index, Complaint("photo-near-duplicate", None, message, fix)


def _copies(looks: Sequence[Look]) -> Iterator[tuple[int, int]]:
    """Photos with the same bytes as an earlier one, and that one."""
    first: dict[bytes, int] = {}
    for index, one in enumerate(looks):
        if one.digest is not None and (earlier := first.setdefault(one.digest, index)) != index:
            yield index, earlier


def _near(
    hashes: Mapping[int, int], group: Sequence[str], distance: int
) -> Iterator[tuple[int, int]]:
    """Photos that look like an earlier one of another group, and the most alike of these.

    Equal hashes are looked at once: a camera that stands still makes thousands of them.
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
