"""Paints: the colour of a solid as a function of the position on its surface."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from samples.yard.solids import Bools, Cut, Paint, Scalars, Vectors

TILE = 512  # side of the noise tiles; a power of two, so that a bit mask wraps them
RUST, MORTAR = "#7a4526", "#b5ada2"


def rgb(colour: str) -> Vectors:
    """Return a "#rrggbb" colour as (3, 1) linear light."""
    srgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear: Vectors = (srgb**2.2).astype(np.float32)[:, None]
    return linear


@cache
def _tile(power: float) -> NDArray[np.float32]:
    """Return periodic noise, mean 0, standard deviation 1; a higher `power` gives larger clouds."""
    rng = np.random.default_rng(int(power * 10))
    rows, columns = np.meshgrid(np.fft.fftfreq(TILE), np.fft.rfftfreq(TILE), indexing="ij")
    pitch = np.maximum(np.hypot(rows, columns), 1 / TILE)
    spectrum = np.fft.rfft2(rng.standard_normal((TILE, TILE))) / pitch**power
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, s=(TILE, TILE))
    tile: NDArray[np.float32] = np.clip(noise / noise.std(), -2.5, 2.5).astype(np.float32)
    return tile


def noise(u: Scalars, v: Scalars, *, cell: float, power: float = 1.0) -> Scalars:
    """Return noise, standard deviation 1, at (u, v) metres, with a sample every `cell` metres."""
    column = np.floor(u / cell).astype(np.int32) & (TILE - 1)
    row = np.floor(v / cell).astype(np.int32) & (TILE - 1)
    return _tile(power)[row, column]


def hashed(row: NDArray[np.int32], column: NDArray[np.int32]) -> Scalars:
    """Return a number in 0..1 for each pair of integers, always the same for the same pair."""
    mixed = (row * 73856093) ^ (column * 19349663)
    mixed = (mixed ^ (mixed >> 13)) * 1274126177
    return ((mixed ^ (mixed >> 16)) & 0xFFFF).astype(np.float32) / np.float32(65535)


def blend(first: Vectors, second: Vectors, share: Scalars | Bools) -> Vectors:
    """Interpolate from `first`, where share is 0, to `second`, where it is 1."""
    mixed: Vectors = first + (second - first) * np.asarray(share, np.float32)
    return mixed


def around(place: Vectors) -> tuple[Scalars, Scalars]:
    """Return two coordinates that vary along every side of a solid."""
    return place[0] + 0.7 * place[1], place[2] + 0.4 * place[1]


def plain(colour: str, *, wear: float = 0.1, rust: float = 0.0) -> Paint:
    """One colour, varied by `wear`; `rust` is roughly the fraction of the surface that is rusty."""
    base, brown = rgb(colour), rgb(RUST)

    def paint(place: Vectors, normal: Vectors) -> Vectors:
        u, v = around(place)
        cloud = noise(u, v, cell=0.012, power=1.2)
        painted = base * (1 + wear * cloud)
        if rust:
            rusty = np.clip((cloud - 1.6 + 2.6 * rust) * 2.5, 0, 1)
            painted = blend(painted, brown * (1 + 0.25 * noise(v, u, cell=0.01)), rusty)
        return np.maximum(painted, 0)

    return paint


def bands(colours: tuple[str, ...], edges: tuple[float, ...], *, wear: float = 0.1) -> Paint:
    """Bands of colour along z: `colours[i]` below `edges[i]`, the last one above all edges."""
    rows = np.concatenate([rgb(colour) for colour in colours], axis=1)

    def paint(place: Vectors, normal: Vectors) -> Vectors:
        u, v = around(place)
        band = np.searchsorted(np.array(edges, np.float32), place[2])
        return np.maximum(rows[:, band] * (1 + wear * noise(u, v, cell=0.012, power=1.2)), 0)

    return paint


def stripes(colour: str, other: str, *, pitch: float, slant: float) -> Paint:
    """Stripes along x, slanted by `slant`, as on barriers."""
    first, second = rgb(colour), rgb(other)

    def paint(place: Vectors, normal: Vectors) -> Vectors:
        phase = (place[0] + slant * place[2]) / pitch
        u, v = around(place)
        worn = 1 + 0.12 * noise(u, v, cell=0.012, power=1.2)
        return np.maximum(blend(first, second, phase % 1 > 0.5) * worn, 0)

    return paint


def wood(colour: str, *, along: int = 0) -> Paint:
    """Wood whose grain runs along the axis with index `along`."""
    base = rgb(colour)

    def paint(place: Vectors, normal: Vectors) -> Vectors:
        across = place[(along + 1) % 3] + place[(along + 2) % 3]
        grain = noise(across, place[along] / 14, cell=0.008, power=0.8)
        return np.maximum(base * (1 + 0.22 * grain), 0)

    return paint


def boards(colour: str, *, width: float, along: int = 0) -> Paint:
    """Upright boards side by side along an axis, each with its own tint."""
    base, gap = rgb(colour), rgb("#1c1713")

    def paint(place: Vectors, normal: Vectors) -> Vectors:
        number = np.floor(place[along] / width).astype(np.int32)
        inside = place[along] / width - number
        tint = 0.75 + 0.5 * hashed(number, number * 0 + 7)
        grain = noise(place[along], place[2] / 14, cell=0.01, power=0.8)
        stain = noise(place[along], place[2], cell=0.03, power=1.6)
        painted = base * (tint * (1 + 0.16 * grain + 0.12 * stain) * (0.8 + 0.2 * (place[2] > 0.3)))
        return np.maximum(blend(painted, gap, np.abs(inside - 0.5) > 0.46), 0)

    return paint


def bricks(
    colours: tuple[str, str], *, length: float, height: float, joint: float, wet: float = 0.0
) -> Paint:
    """Courses of bricks with mortar, damp and dark up to a height of about `wet` metres."""
    first, second, mortar = rgb(colours[0]), rgb(colours[1]), rgb(MORTAR)

    def paint(place: Vectors, normal: Vectors) -> Vectors:
        along = np.where(np.abs(normal[0]) > 0.7, place[1], place[0])
        across = np.where(np.abs(normal[2]) > 0.7, place[1], place[2])
        row = np.floor(across / height).astype(np.int32)
        shifted = along / length + 0.5 * (row & 1)
        column = np.floor(shifted).astype(np.int32)
        x, z = (shifted - column) * length, across - row * height
        tint = hashed(row, column)
        brick = blend(first, second, tint) * (0.78 + 0.44 * hashed(column, row))
        brick = brick * (1 + 0.13 * noise(along, across, cell=0.012, power=0.6))
        edge = (x < joint) | (z < joint)
        stain = 1 + 0.13 * noise(along, across, cell=0.035, power=1.7)
        if wet:
            damp = wet * (1 + 0.4 * noise(along, 0 * along, cell=0.05, power=1.4))
            stain = stain * (1 - 0.38 * np.clip(1.3 - place[2] / np.maximum(damp, 0.05), 0, 1))
        return np.maximum(blend(brick, mortar, edge) * stain, 0)

    return paint


def glass(colour: str = "#26323a") -> Paint:
    """Dark glass that reflects patches of a bright sky."""
    base, sky = rgb(colour), rgb("#aebfcb")

    def paint(place: Vectors, normal: Vectors) -> Vectors:
        glint = np.clip(
            noise(place[0] + place[2], place[1] + place[2] * 0, cell=0.05, power=1.8), 0, 1
        )
        return blend(base, sky, 0.12 + 0.4 * glint + 0 * place[0])

    return paint


def leaves(colour: str, *, size: float) -> Paint:
    """Foliage: bright and dark specks, darker on the lower side."""
    base, tip = rgb(colour), rgb("#b7bf5a")

    def paint(place: Vectors, normal: Vectors) -> Vectors:
        u, v = around(place)
        speck = noise(u * 1.3 + v, v - u, cell=size, power=0.5)
        lit = np.clip(0.75 + 0.4 * speck + 0.3 * normal[2], 0.12, 2)
        return blend(base * lit, tip * lit, np.clip(speck * 0.14, 0, 0.3))

    return paint


def leafy_edge(size: float, *, share: float = 0.55) -> Cut:
    """Cut gaps into foliage, mostly where its surface is parallel to the line of sight."""

    def cut(place: Vectors, normal: Vectors) -> Bools:
        u, v = around(place)
        facing = np.abs(normal[1])
        kept: Bools = noise(u * 1.3 + v, v - u, cell=size, power=0.7) + 3 * facing > share
        return kept

    return cut
