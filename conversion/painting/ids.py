"""Segment ids: unique in the set, never 0, and unchanged if other photos are added or removed."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from base.errors import InputError

Ints = NDArray[np.int64]
LIMIT = 1 << 24  # an RGB PNG cannot hold larger ids


def first_ids(begins: Ints, needs: Ints) -> Ints:
    """Return the first id of each photo's block, (N,); a block has `needs` ids, but at least one.

    If ids were consecutive across photos, one changed shape would change all ids after it. Instead,
    a block starts at a hash of the photo's name: `begins`, which must be sorted. Only a block that
    would overlap the previous one moves after it, as in a hash table. Raises InputError if there
    are not enough ids.
    """
    sizes = np.maximum(needs, 1)
    before = sizes.cumsum() - sizes
    if (total := int(sizes.sum())) >= LIMIT:
        raise InputError(
            f"expected at most {LIMIT - 1:,} segments, as many as the format has ids, found up to"
            f" {total:,}; divide the data set, or list fewer stuff categories: each photo reserves"
            " an id for each of them"
        )
    starts = before + np.maximum.accumulate(begins - before)
    return np.asarray(np.minimum(starts, LIMIT - total + before))  # not beyond the end


def block_begin(name: str) -> int:
    """Return where the block of ids of a photo would start if there were no other photos."""
    words = blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest()
    return 1 + int.from_bytes(words, "big") % (LIMIT - 1)
