"""Photos that look alike: a perceptual hash, and the pairs of hashes that differ in a few bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

# Bits that may differ between near-duplicates. Measured on 509 real photos of facades: the same
# photo as a JPEG of quality 40, at half its size, brighter or with noise differs in 0 to 2 bits
# (95th percentile: 4), cropped by 2 % in 2 (6), rotated by 1 degree in 4 (8). Of 129,286 pairs of
# different photos, 2 differ in 8 bits or less, both taken from the same spot; the next 3 differ in
# 10, and one of them shows two different buildings. Distances are even: half the bits are set.
NEAR_DISTANCE = 8
HASH_BITS = 64
_SIDE = 32  # pixels of the reduced image, as in the published pHash
_LOW = 8  # its lowest frequencies in each direction: 8 x 8 = 64 bits
_BLOCK = 1 << 22  # comparisons made at once: 32 MB


def perceptual_hash(picture: NDArray[np.uint8]) -> int:
    """Compute the 64-bit DCT hash (pHash) of an (H, W) grey or (H, W, 3) BGR uint8 image.

    A bit is set if the coefficient of a low frequency is above their median. Size, compression and
    brightness hardly change the hash; rotating or mirroring the image changes it completely.
    """
    # `imagehash.phash` is the same hash but reduces the image in another way: 1 to 3 bits differ
    # for a fifth of the test images, and hashes are stored in collected.jsonl and with splits.
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    # Rounded, so that an image of one colour has the same hash on every machine.
    low = np.round(cv2.dct(small.astype(np.float32))[:_LOW, :_LOW], 1)
    bits = np.packbits(low > np.median(low))
    return int.from_bytes(bits.tobytes(), "big")


def near_pairs(hashes: Sequence[int], distance: int = NEAR_DISTANCE) -> list[tuple[int, int]]:
    """Find the pairs of 64-bit hashes that differ in at most `distance` bits.

    Returns sorted pairs of indices (i, j), i < j. Two such hashes are equal in at least one of
    `distance` + 1 bands of bits (pigeonhole principle), so only hashes that share a band are
    compared: 100,000 take seconds instead of minutes.
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
    """Yield the ascending indices of equal keys, for each key that occurs more than once."""
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.diff(keys[order])) + 1
    return (bucket for bucket in np.split(order, edges) if len(bucket) > 1)


def _pairs_in(
    codes: NDArray[np.uint64], bucket: NDArray[np.intp], distance: int, earlier: Sequence[int]
) -> Iterator[NDArray[np.intp]]:
    """Yield (N, 2) pairs within a bucket, except those that an earlier band has already found."""
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
