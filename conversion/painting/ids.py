"""Segment ids: unique in the set, never 0, and the same again when other photos come or go."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from base.errors import InputError

Ints = NDArray[np.int64]
LIMIT = 1 << 24  # a PNG of RGB holds no larger ids


def first_ids(begins: Ints, needs: Ints) -> Ints:
    """(N,) first id of each photo's own block of at least `needs` ids, and at least one.

    Counting on from photo to photo would change all ids after one changed shape. Here a block
    begins where the hash of the name says, `begins`, which have to be sorted; one that would
    overlap moves behind its neighbour, as in a hash table, and nobody else does. Raises InputError
    where the ids do not suffice.
    """
    sizes = np.maximum(needs, 1)
    before = sizes.cumsum() - sizes
    if (total := int(sizes.sum())) >= LIMIT:
        raise InputError(
            f"{total:,} segments may be needed, and the format has {LIMIT - 1:,} ids; split the"
            " data set, or name fewer stuff categories (each photo is given an id for all of them)"
        )
    starts = before + np.maximum.accumulate(begins - before)
    return np.asarray(np.minimum(starts, LIMIT - total + before))  # not over the end


def block_begin(name: str) -> int:
    """Where the block of a photo's ids would begin if there were no others."""
    words = blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest()
    return 1 + int.from_bytes(words, "big") % (LIMIT - 1)
