"""Segment ids: unique in the set, never 0, and the same again when other photos come or go."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np

from annotation.files import InputError

LIMIT = 1 << 24  # a PNG of RGB holds no larger ids


def allocate_ids(needs: Mapping[str, int]) -> dict[str, int]:
    """First id of each photo's own block of at least `needs[name]` ids, by photo name.

    Counting on from photo to photo would change all ids after one changed shape. Here a block
    begins where the hash of the name says; one that would overlap moves behind its neighbour, as
    in a hash table, and nobody else does. Raises InputError where the ids do not suffice.
    """
    if not needs:
        return {}
    names = sorted(needs, key=lambda name: (_hash(name), name))
    begins = np.array([_hash(name) for name in names])
    sizes = np.array([max(1, needs[name]) for name in names])
    before = sizes.cumsum() - sizes
    if (total := int(sizes.sum())) >= LIMIT:
        raise InputError(
            f"{total:,} segments may be needed, and the format has {LIMIT - 1:,} ids; split the"
            " data set, or name fewer stuff categories (each photo is given an id for all of them)"
        )
    starts = before + np.maximum.accumulate(begins - before)
    starts = np.minimum(starts, LIMIT - total + before)  # what would run over the end moves up
    return dict(zip(names, starts.tolist(), strict=True))


def _hash(name: str) -> int:
    words = blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest()
    return 1 + int.from_bytes(words, "big") % (LIMIT - 1)
