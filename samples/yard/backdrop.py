"""The solids behind the things: walls, fences, trees, heaps, distant buildings and cranes.

Each function chooses a variant with `rng` and returns parts that stand on z = 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from samples.yard.canvas import Canvas, Pixels
from samples.yard.paint import boards, bricks, hashed, leafy_edge, leaves, plain, wood
from samples.yard.solids import Ball, Bools, Box, Cut, Part, Round, Vectors, moved, spin
from samples.yard.things import Parts, pick


def draw_all(canvas: Canvas, parts: Sequence[Part], *, stuff: int) -> Pixels:
    """Draw parts of one stuff category; return the pixels that they cover."""
    return np.concatenate([canvas.draw(part, stuff=stuff) for part in parts])


def brick_wall(rng: np.random.Generator, low: float, high: float, height: float) -> Parts:
    """A wall along x from `low` to `high` with its face at y = 0, a coping and sometimes piers."""
    colours = (
        ("#9c4a33", "#7d3626"),
        ("#a8593b", "#8b4731"),
        ("#b08a62", "#94714f"),
        ("#8d6a5a", "#75554a"),
    )
    face = bricks(
        colours[int(rng.integers(4))],
        length=rng.uniform(0.36, 0.46),
        height=rng.uniform(0.14, 0.17),
        joint=0.028,
        wet=rng.uniform(0.2, 0.9),
    )
    parts = [Part(Box((low, 0, 0), (high, 0.3, height)), face)]
    coping = plain(pick(rng, "#a5a097", "#8b867c", "#7c4a3a"), wear=0.12)
    parts.append(Part(Box((low - 0.06, -0.06, height), (high + 0.06, 0.36, height + 0.12)), coping))
    if rng.random() < 0.6:
        gap = rng.uniform(3, 5)
        for x in np.arange(low + 0.2, high, gap).tolist():
            parts.append(Part(Box((x - 0.22, -0.1, 0), (x + 0.22, 0.4, height + 0.05)), face))
            parts.append(
                Part(Box((x - 0.28, -0.16, height + 0.05), (x + 0.28, 0.46, height + 0.2)), coping)
            )
    return parts


def windows(rng: np.random.Generator, low: float, high: float, height: float) -> Parts:
    """Dark windows with sills, for the wall of a building."""
    parts: Parts = []
    pane, frame = plain("#2a343b", wear=0.3), plain(pick(rng, "#d9d6cc", "#6d6a64", "#8a8f93"))
    floor, gap = rng.uniform(1.5, 2.0), rng.uniform(2.4, 3.6)
    for x in np.arange(low + 1.2, high - 1.5, gap).tolist():
        for z in np.arange(floor, height - 1.4, 2.8).tolist():
            parts.append(Part(Box((x - 0.06, -0.03, z - 0.06), (x + 1.16, 0.1, z + 1.36)), frame))
            parts.append(Part(Box((x, -0.035, z), (x + 0.52, 0.1, z + 1.3)), pane))
            parts.append(Part(Box((x + 0.58, -0.035, z), (x + 1.1, 0.1, z + 1.3)), pane))
            parts.append(Part(Box((x - 0.12, -0.12, z - 0.14), (x + 1.22, 0.1, z - 0.06)), frame))
    return parts


def board_fence(rng: np.random.Generator, low: float, high: float, height: float) -> Parts:
    """Upright boards: a solid fence, or pickets with gaps."""
    colour = pick(rng, "#8d6b47", "#6f5a45", "#a08a6c", "#9a9b96", "#54705f", "#d8d4c8")
    width, pickets = rng.uniform(0.14, 0.2), bool(rng.random() < 0.4)
    paint = boards(colour, width=width)
    top = height * (0.62 if pickets else 1.0)
    parts = [
        Part(Box((low, 0, 0.04), (high, 0.03, top)), paint, cut=_board_tops(width, top, pickets))
    ]
    timber = wood(colour)
    for z in (0.35, top - 0.35):
        parts.append(Part(Box((low, 0.035, z), (high, 0.09, z + 0.1)), timber))
    for x in np.arange(low, high + 0.1, 2.2).tolist():
        parts.append(
            Part(Box((x - 0.06, 0.035, 0), (x + 0.06, 0.15, top - 0.02)), wood(colour, along=2))
        )
    return parts


def _board_tops(width: float, top: float, pickets: bool) -> Cut:
    def cut(place: Vectors, normal: Vectors) -> Bools:
        number = np.floor(place[0] / width).astype(np.int32)
        inside = place[0] / width - number
        ragged = top - 0.05 * hashed(number, number * 0 + 3)
        peak = top - np.abs(inside - 0.36) * width * 1.3
        kept: Bools = (place[2] < peak) & (inside < 0.72) if pickets else place[2] < ragged
        return kept

    return cut


def wire_fence(rng: np.random.Generator, low: float, high: float, height: float) -> Parts:
    """Wire mesh on steel posts: woven, or panels on concrete feet as on building sites."""
    height = min(height, rng.uniform(1.9, 2.3))
    woven = bool(rng.random() < 0.5)
    steel = plain(pick(rng, "#9aa0a3", "#8c9294", "#4f6b57"), wear=0.08)
    parts = [Part(Box((low, 0, 0.08), (high, 0.01, height)), steel, cut=_mesh(woven), shadow=False)]
    gap, thick = (2.6, 0.045) if woven else (2.0, 0.035)
    for x in np.arange(low, high + 0.1, gap).tolist():
        parts.append(Part(Round(thick, thick, height + 0.05), steel, at=(x, 0.02, 0)))
        if not woven:
            foot = plain(pick(rng, "#9d9a93", "#8e8b84"), wear=0.2)
            parts.append(Part(Box((x - 0.32, -0.12, 0), (x + 0.32, 0.14, 0.14)), foot))
    for z in (height - 0.03,) if woven else (0.12, height - 0.03):
        parts.append(Part(Box((low, 0, z), (high, 0.05, z + 0.05)), steel))
    return parts


def _mesh(woven: bool) -> Cut:
    def cut(place: Vectors, normal: Vectors) -> Bools:
        x, z = place[0], place[2]
        if woven:
            up, down = (x + z) / 0.17 % 1, (x - z) / 0.17 % 1
            wires: Bools = (up < 0.15) | (down < 0.15)
        else:
            wires = (x / 0.11 % 1 < 0.2) | (z / 0.4 % 1 < 0.07)
        return wires

    return cut


def tree(rng: np.random.Generator, *, height: float) -> Parts:
    """A tree: a trunk and a crown of balls of leaves."""
    colour = pick(rng, "#5d7a35", "#4c6b31", "#6d8440", "#48643a", "#7d8a3e")
    crown, wide = height * rng.uniform(0.62, 0.75), height * rng.uniform(0.3, 0.42)
    trunk = Part(Round(0.05 * height, 0.03 * height, height * 0.55), wood("#5d4a38", along=2))
    parts = [trunk]
    size = 0.024 * height
    foliage, edge = leaves(colour, size=size), leafy_edge(size)
    for _ in range(int(rng.integers(11, 17))):
        heading, out = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random()) * wide * 0.72
        z = height - crown * rng.uniform(0.18, 0.85)
        lean = 1 - 0.5 * abs((z - height + crown * 0.55) / crown)
        at = (float(out * np.cos(heading) * lean), float(out * np.sin(heading) * lean), z)
        r = wide * rng.uniform(0.34, 0.52)
        parts.append(Part(Ball((r, r, r * 0.85)), foliage, at=at, cut=edge))
    return parts


def dirt_heap(rng: np.random.Generator, colour: str) -> Parts:
    """A heap of earth, sand or gravel."""
    tint = pick(rng, colour, "#c2a878", "#8f8a80", colour)
    paint = plain(tint, wear=0.2)
    r = rng.uniform(1.2, 2.4)
    parts = [Part(Ball((r, r * 0.7, r * rng.uniform(0.5, 0.7))), paint)]
    for _ in range(3):
        s = r * rng.uniform(0.4, 0.7)
        at = (rng.uniform(-1, 1) * r * 0.8, rng.uniform(-0.3, 0.3) * r, -s * 0.1)
        parts.append(Part(Ball((s, s * 0.8, s * 0.6)), paint, at=at))
    return parts


def pole(rng: np.random.Generator) -> Parts:
    """A utility pole with a crossarm, which is void."""
    height, timber = rng.uniform(6, 8.5), wood(pick(rng, "#5c4d3e", "#77705f"), along=2)
    parts = [Part(Round(0.13, 0.09, height), timber)]
    arm = [Part(Box((-0.9, -0.06, 0), (0.9, 0.06, 0.12)), timber)]
    arm += [Part(Round(0.04, 0.04, 0.16), plain("#c9d2d0"), at=(x, 0, 0.12)) for x in (-0.8, 0.8)]
    return parts + moved(arm, turn=spin("z", rng.uniform(-0.5, 0.5)), at=(0, 0, height - 0.7))


def far_building(rng: np.random.Generator) -> Parts:
    """A building far behind the yard, which is void."""
    wide, height = rng.uniform(5, 14), rng.uniform(7, 20)
    paint = plain(pick(rng, "#9a9c9f", "#b4aca0", "#8b8f98", "#a99a8c"), wear=0.04)
    parts = [Part(Box((-wide, 0, 0), (wide, 8, height)), paint, shadow=False)]
    pane = plain("#5d6a75", wear=0.3)
    for z in np.arange(2.2, height - 1.2, 2.9).tolist():
        for x in np.arange(-wide + 1, wide - 1.2, 2.6).tolist():
            parts.append(Part(Box((x, -0.05, z), (x + 1.3, 0.1, z + 1.3)), pane, shadow=False))
    return parts


def crane(rng: np.random.Generator) -> Parts:
    """A tower crane far behind the yard, which is void."""
    height, paint = (
        rng.uniform(16, 24),
        plain(pick(rng, "#d9a72c", "#c9c4b8", "#b8453a"), wear=0.03),
    )
    mast: Parts = [
        Part(Box((-0.5, -0.5, 0), (0.5, 0.5, height)), paint, cut=_lattice, shadow=False)
    ]
    mast.append(
        Part(Box((-5, -0.4, height), (15, 0.4, height + 0.9)), paint, cut=_lattice, shadow=False)
    )
    mast.append(
        Part(Box((-5, -0.6, height - 1.4), (-3, 0.6, height)), plain("#6f6f6f"), shadow=False)
    )
    mast.append(Part(Round(0.5, 0.1, 3), paint, at=(0, 0, height + 0.9), shadow=False))
    return moved(mast, turn=spin("z", float(rng.choice([0.2, 2.8, -0.3]))))


def _lattice(place: Vectors, normal: Vectors) -> Bools:
    along = place[2] + place[0]
    kept: Bools = (np.abs(along % 1.4 - 0.7) > 0.5) | (
        np.abs((place[0] - place[2]) % 1.4 - 0.7) > 0.55
    )
    return kept


def bush(rng: np.random.Generator) -> Parts:
    """A tree at the horizon, made of two balls of leaves."""
    colour = pick(rng, "#64774a", "#566b45", "#6f7d55")
    paint, edge = leaves(colour, size=0.22), leafy_edge(0.22)
    parts = []
    for _ in range(2):
        r = rng.uniform(2.2, 3.8)
        at = (rng.uniform(-2, 2), rng.uniform(-1, 1), rng.uniform(1.0, 2.6))
        parts.append(Part(Ball((r, r, r)), paint, at=at, cut=edge, shadow=False))
    return parts
