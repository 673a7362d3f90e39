"""Photos that look alike: a perceptual hash, and the pairs of hashes that differ little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

# Bits that may differ between near-duplicates. Measured on 509 real photos of facades: the same
# photo as a JPEG of quality 40, at half its size, brighter or with noise differs by 0 to 2 bits
# (95th percentile: 4), cut by 2 % by 2 (6), turned by 1 degree by 4 (8). Of 129,286 pairs of
# different photos 2 differ by 8 bits or less, both shot from one spot; the next differ by 10, and
# one of those three pairs shows two different buildings. Distances are even: half the bits are set.
NEAR_DISTANCE = 8
HASH_BITS = 64
_SIDE = 32  # pixels of the reduced picture, as in the published pHash
_LOW = 8  # its lowest frequencies in each direction: 8 x 8 = 64 bits
_BLOCK = 1 << 22  # comparisons made at once: 32 MB


def perceptual_hash(picture: NDArray[np.uint8]) -> int:
    """64-bit DCT hash (pHash) of an (H, W) grey or (H, W, 3) BGR uint8 picture.

    A bit is set where a low frequency is stronger than their median: size, compression and
    brightness hardly change it, a turn or a mirror image changes it wholly.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    # Rounded, so that a picture of one colour has the same hash on every machine.
    low = np.round(cv2.dct(small.astype(np.float32))[:_LOW, :_LOW], 1)
    bits = np.packbits(low > np.median(low))
    return int.from_bytes(bits.tobytes(), "big")


def near_pairs(hashes: Sequence[int], distance: int = NEAR_DISTANCE) -> list[tuple[int, int]]:
    """Index pairs (i, j), i < j, of 64-bit hashes that differ in at most `distance` bits, sorted.

    Two such hashes are equal in at least one of `distance` + 1 bands of bits (pigeonhole), so only
    hashes that share a band are compared: 100,000 take seconds instead of minutes.
    """
    codes = np.array(hashes, np.uint64)
    edges = np.linspace(0, HASH_BITS, distance + 2).astype(int).tolist()
    masks = [(1 << high) - (1 << low) for low, high in pairwise(edges)]
    found = [
        pairs
        for band in range(len(masks))
        for bucket in _buckets(codes & np.uint64(masks[band]))
        for pairs in _pairs_in(codes, bucket, distance, masks[:band])
    ]
    pairs = np.concatenate([np.empty((0, 2), np.intp), *found])
    return [(int(i), int(j)) for i, j in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]]


def _buckets(keys: NDArray[np.uint64]) -> Iterator[NDArray[np.intp]]:
    """Ascending indices of equal keys, for each key that occurs twice or more."""
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.diff(keys[order])) + 1
    return (bucket for bucket in np.split(order, edges) if len(bucket) > 1)


def _pairs_in(
    codes: NDArray[np.uint64], bucket: NDArray[np.intp], distance: int, earlier: Sequence[int]
) -> Iterator[NDArray[np.intp]]:
    """(N, 2) near pairs within a bucket, without those that an earlier band has found already."""
    members = codes[bucket]
    rows = max(1, _BLOCK // len(bucket))
    for start in range(0, len(bucket), rows):
        differing = members[start : start + rows, None] ^ members[None, start:]
        i, j = np.nonzero(np.bitwise_count(differing) <= distance)
        i, j = i[i < j], j[i < j]
        new = np.ones(len(i), np.bool_)
        for mask in earlier:
            new &= differing[i, j] & np.uint64(mask) != 0
        if new.any():
            yield np.stack([bucket[start + i[new]], bucket[start + j[new]]], axis=1)
