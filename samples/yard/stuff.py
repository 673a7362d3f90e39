"""The ground and the backdrop of the sample yard: what COCO calls stuff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from samples.yard.canvas import Canvas, Pixels
from samples.yard.paint import (
    blend,
    boards,
    bricks,
    chance,
    leafy_edge,
    leaves,
    noise,
    plain,
    rgb,
    wood,
)
from samples.yard.solids import Ball, Bools, Box, Cut, Part, Round, Scalars, Vectors, moved, spin
from samples.yard.things import Parts, pick

SKY, DIRT, WALL, TREE, FENCE, PAVEMENT, VOID = 187, 194, 171, 184, 185, 191, 0


@dataclass(frozen=True)
class Ground:
    """Dirt with a paved strip: `paved` says where along the strip's own axis the paving lies."""

    dirt: str
    slab: str
    slab_size: float
    heading: float  # of the strip's axis, radians from x
    paved: tuple[float, float]  # metres along that axis
    tracks: tuple[tuple[float, float, float], ...]  # offset, heading and bend of a pair of ruts
    puddles: float
    shift: float  # moves every noise, so that no two yards are alike


def paint_sky(canvas: Canvas, rng: np.random.Generator) -> None:
    """Fill the canvas with sky: a gradient to the horizon and clouds that flatten towards it."""
    light, rays = canvas.light, canvas.rays
    rise = np.clip(rays[2] / np.sqrt((rays * rays).sum(0)), 0, 1)
    zenith, horizon = (np.array(c, np.float32)[:, None] for c in (light.zenith, light.horizon))
    sky = blend(horizon, zenith, np.clip(rise * 2.2, 0, 1) ** 0.6)
    away = 1 / (rise + 0.12)
    u = rays[0] * away * 4 + rng.uniform(0, 50)
    v = away * 4 + rng.uniform(0, 50)
    heap = noise(u, v, cell=0.055, power=1.75) + 0.25 * noise(u, v, cell=0.02, power=1.3)
    cover = np.clip((heap - 1.1 + 2.2 * light.clouds) * 0.9, 0, 1)
    bright = np.array(light.sun, np.float32)[:, None] * 0.16 + horizon * 0.75
    cloud = bright * (1 - 0.16 * np.clip(heap - 0.4, 0, 2))
    canvas.albedo[:] = np.maximum(blend(sky, cloud, cover * np.clip(rise * 9, 0, 1)), 0)
    canvas.stuff[:] = SKY


def draw_ground(canvas: Canvas, ground: Ground) -> None:
    """Lay the ground under everything that is drawn later."""
    fall = canvas.rays[2]
    pixels = np.flatnonzero(fall < -1e-3)
    canvas.depth[pixels] = -canvas.camera.eye[2] / fall[pixels]
    x, y, _ = canvas.positions(pixels)
    slabs = paved(ground, x, y)
    far = np.clip(canvas.depth[pixels] / 45, 0, 1)
    canvas.albedo[:, pixels] = _dirt(canvas, ground, x, y, far)
    on = np.flatnonzero(slabs)
    canvas.albedo[:, pixels[on]] = _slabs(ground, x[on], y[on])
    canvas.to_sun[pixels] = canvas.light.to_sun[2]
    canvas.to_sky[pixels] = 1
    canvas.floor[pixels] = True
    canvas.stuff[pixels] = np.where(slabs, PAVEMENT, DIRT)


def paved(ground: Ground, x: Scalars, y: Scalars) -> Bools:
    """Where the paving lies, its edge a little eaten by dirt."""
    along = x * np.cos(ground.heading) + y * np.sin(ground.heading)
    low, high = ground.paved
    inside: Bools = (along > low) & (along < high)
    return inside


def _dirt(canvas: Canvas, ground: Ground, x: Scalars, y: Scalars, far: Scalars) -> Vectors:
    s = ground.shift
    large = noise(x + s, y, cell=0.05, power=1.6)
    small = noise(x, y + s, cell=0.018, power=0.8)
    dry, wet = rgb(ground.dirt), rgb(ground.dirt) * np.array([[0.5], [0.47], [0.45]], np.float32)
    earth: Vectors = blend(dry, wet, np.clip(0.35 + 0.3 * large, 0, 1)) * (
        1 + 0.2 * small * (1 - far)
    )
    stone = noise(x + 3, y + s, cell=0.03, power=0.3) > 2.05
    earth = blend(earth, rgb("#b9b2a6"), stone * (0.6 * (1 - far)))
    for offset, heading, bend in ground.tracks:
        earth = earth * (1 - _ruts(x, y, offset, heading, bend, s))
    pool = np.clip((noise(x + 2 * s, y, cell=0.06, power=1.9) - 2.3 + ground.puddles) * 8, 0, 1)
    mirror = np.array(canvas.light.horizon, np.float32)[:, None] / 2.2
    return np.maximum(blend(earth, blend(wet * 0.8, mirror, 0.45 + 0 * x), pool * 0.85), 0)


def _ruts(x: Scalars, y: Scalars, offset: float, heading: float, bend: float, s: float) -> Scalars:
    """Two tyre tracks with their tread, as the share of light they take."""
    along = x * np.cos(heading) + (y - 10) * np.sin(heading)
    across = -x * np.sin(heading) + (y - 10) * np.cos(heading) - offset + bend * along**2
    rut = np.maximum(1 - np.abs(np.abs(across) - 0.85) / 0.26, 0)
    tread = ((along * 3.1 + np.abs(np.abs(across) - 0.85) * 4) % 1 > 0.5) * 0.45 + 0.55
    gone = np.clip(0.8 + 0.5 * noise(along + s, across, cell=0.05, power=1.5), 0, 1.2)
    return np.clip(0.5 * np.sqrt(rut) * tread * gone, 0, 0.7).astype(np.float32)


def _slabs(ground: Ground, x: Scalars, y: Scalars) -> Vectors:
    """Slabs in a half bond, each of its own tint, with joints, stains and sand blown over."""
    c, s = np.cos(ground.heading), np.sin(ground.heading)
    u, v = x * c + y * s - ground.paved[0], -x * s + y * c
    row = np.floor(u / ground.slab_size).astype(np.int32)
    shifted = v / ground.slab_size + 0.5 * (row & 1)
    column = np.floor(shifted).astype(np.int32)
    edge = np.minimum(u / ground.slab_size - row, shifted - column) * ground.slab_size
    tint = 0.84 + 0.3 * chance(row, column)
    stain = (
        1
        + 0.12 * noise(u + ground.shift, v, cell=0.03, power=1.5)
        + 0.08 * noise(u, v, cell=0.012, power=0.5)
    )
    slab = blend(rgb(ground.slab) * (tint * stain), rgb("#4f4a43"), edge < 0.035)
    low, high = ground.paved
    brink = np.minimum(u, high - low - u)
    kerb = blend(slab, rgb("#a7a49c") * (0.9 + 0.15 * stain), (brink < 0.16) & (v % 1 > 0.03))
    sand = np.clip(
        noise(u, v + ground.shift, cell=0.04, power=1.5) * 0.5 - 0.35 - brink * 0.15, 0, 0.75
    )
    return np.maximum(blend(kerb, rgb(ground.dirt) * 0.9, sand), 0)


def brick_wall(rng: np.random.Generator, low: float, high: float, height: float) -> Parts:
    """A wall along x between `low` and `high`, its face at y = 0, with piers and a coping."""
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
    """Dark windows with a sill for a wall that belongs to a building."""
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
    """Upright boards, close together or as pickets with gaps between."""
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
        ragged = top - 0.05 * chance(number, number * 0 + 3)
        peak = top - np.abs(inside - 0.36) * width * 1.3
        kept: Bools = (place[2] < peak) & (inside < 0.72) if pickets else place[2] < ragged
        return kept

    return cut


def wire_fence(rng: np.random.Generator, low: float, high: float, height: float) -> Parts:
    """Wire mesh on steel posts, either woven or as site panels on concrete feet."""
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
            one, two = (x + z) / 0.17 % 1, (x - z) / 0.17 % 1
            wires: Bools = (one < 0.15) | (two < 0.15)
        else:
            wires = (x / 0.11 % 1 < 0.2) | (z / 0.4 % 1 < 0.07)
        return wires

    return cut


def tree(rng: np.random.Generator, *, height: float) -> Parts:
    """A trunk and a crown of leafy clumps."""
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
    """A utility pole with its cross arm; nobody labels those."""
    height, timber = rng.uniform(6, 8.5), wood(pick(rng, "#5c4d3e", "#77705f"), along=2)
    parts = [Part(Round(0.13, 0.09, height), timber)]
    arm = [Part(Box((-0.9, -0.06, 0), (0.9, 0.06, 0.12)), timber)]
    arm += [Part(Round(0.04, 0.04, 0.16), plain("#c9d2d0"), at=(x, 0, 0.12)) for x in (-0.8, 0.8)]
    return parts + moved(arm, turn=spin("z", rng.uniform(-0.5, 0.5)), at=(0, 0, height - 0.7))


def far_building(rng: np.random.Generator) -> Parts:
    """A block of flats or a hall far behind the yard; nobody labels those."""
    wide, height = rng.uniform(5, 14), rng.uniform(7, 20)
    paint = plain(pick(rng, "#9a9c9f", "#b4aca0", "#8b8f98", "#a99a8c"), wear=0.04)
    parts = [Part(Box((-wide, 0, 0), (wide, 8, height)), paint, shadow=False)]
    pane = plain("#5d6a75", wear=0.3)
    for z in np.arange(2.2, height - 1.2, 2.9).tolist():
        for x in np.arange(-wide + 1, wide - 1.2, 2.6).tolist():
            parts.append(Part(Box((x, -0.05, z), (x + 1.3, 0.1, z + 1.3)), pane, shadow=False))
    return parts


def crane(rng: np.random.Generator) -> Parts:
    """A tower crane far away; nobody labels those."""
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


def draw_all(canvas: Canvas, parts: Sequence[Part], *, stuff: int) -> Pixels:
    """Draw parts of one stuff category; return the pixels they cover."""
    return np.concatenate([canvas.draw(part, stuff=stuff) for part in parts])


def bush(rng: np.random.Generator) -> Parts:
    """A tree so far away that two clumps are enough."""
    colour = pick(rng, "#64774a", "#566b45", "#6f7d55")
    paint, edge = leaves(colour, size=0.22), leafy_edge(0.22)
    parts = []
    for _ in range(2):
        r = rng.uniform(2.2, 3.8)
        at = (rng.uniform(-2, 2), rng.uniform(-1, 1), rng.uniform(1.0, 2.6))
        parts.append(Part(Ball((r, r, r)), paint, at=at, cut=edge, shadow=False))
    return parts
