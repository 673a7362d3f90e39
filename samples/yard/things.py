"""The small things in a yard: cones, pallets, pipes, drums, ladders and barriers.

Each function chooses a variant with `rng` and returns parts that stand on z = 0 at the origin.
"""

from __future__ import annotations

import numpy as np

from samples.yard.paint import bands, bricks, plain, stripes, wood
from samples.yard.solids import Box, Part, Prism, Round, moved, spin

Parts = list[Part]
PIPE_COLOURS = ("#b5541f", "#6f7477", "#23303c", "#2d5f9e", "#8f8b83", "#77482c", "#d9d5c6")
DRUM_COLOURS = ("#1f4f9c", "#a8261f", "#1f6b3a", "#23252a", "#d6a514", "#d9d9d2", "#c9661b")


def pick(rng: np.random.Generator, *options: str) -> str:
    """Choose one of the options."""
    return options[int(rng.integers(len(options)))]


def traffic_cone(rng: np.random.Generator) -> Parts:
    """A cone of 0.75 to 1.05 m with one to three white rings, sometimes lying on its side."""
    height = rng.uniform(0.75, 1.05)
    colour = pick(rng, "#f0561b", "#e8431f", "#f26a22", "#ee4a10", "#d8d420")
    white = pick(rng, "#f2f2ee", "#e4e2da")
    rings = int(rng.integers(1, 4))
    colours, edges = [colour], []
    for i in range(rings):
        low = 0.28 + i * 0.62 / rings
        edges += [low * height, (low + 0.34 / rings) * height]
        colours += [white, colour]
    side = height * rng.uniform(0.27, 0.32)
    base = pick(rng, "#1d1d1f", "#2a2a2a", colour)
    cone = Part(
        Round(side * 0.74, 0.035, height - 0.06),
        bands(tuple(colours), tuple(edges)),
        at=(0, 0, 0.06),
    )
    foot = Part(Box((-side, -side, 0), (side, side, 0.06)), plain(base, wear=0.2))
    if rng.random() > 0.14:
        return [foot, cone]
    fallen = spin("y", np.pi / 2 + 0.74 * side / height)
    return moved([foot, cone], turn=fallen, at=(-height / 2, 0, side * 0.97))


def brick_pallet(rng: np.random.Generator) -> Parts:
    """Bricks or blocks stacked on a wooden pallet, often with an incomplete top course."""
    wide, deep = rng.uniform(0.55, 0.68), rng.uniform(0.45, 0.6)
    timber = wood(pick(rng, "#b08d5e", "#9a8161", "#c2a06c"))
    parts = [
        Part(Box((-wide, y - 0.05, 0), (wide, y + 0.05, 0.1)), timber)
        for y in (-deep + 0.05, 0, deep - 0.05)
    ]
    parts += [
        Part(Box((x - 0.07, -deep, 0.1), (x + 0.07, deep, 0.14)), timber)
        for x in np.linspace(-wide + 0.07, wide - 0.07, 5).tolist()
    ]
    kind = int(rng.integers(4))
    colours = (
        ("#a5432b", "#7c2f22"),
        ("#b9623c", "#8f4a2f"),
        ("#c9a878", "#a98a5e"),
        ("#9b9a95", "#83827e"),
    )[kind]
    size = (0.36, 0.18) if kind == 3 else (0.24, 0.1)
    stack = bricks(colours, length=size[0], height=size[1], joint=0.022)
    top = 0.14 + size[1] * int(rng.integers(3, 5 + 4 * (kind < 3)))
    parts.append(
        Part(Box((-wide + 0.05, -deep + 0.04, 0.14), (wide - 0.05, deep - 0.04, top)), stack)
    )
    if rng.random() < 0.6:
        low, high = sorted(rng.uniform(-wide + 0.05, wide - 0.05, 2).tolist())
        if high - low > 0.3:
            parts.append(
                Part(Box((low, -deep + 0.06, top), (high, deep - 0.06, top + size[1])), stack)
            )
    if rng.random() < 0.35:
        strap = plain(pick(rng, "#1f1f22", "#d8d8d2", "#2c6fb5"), wear=0.02)
        parts += [
            Part(Box((x - 0.02, -deep + 0.03, 0.14), (x + 0.02, deep - 0.03, top + 0.012)), strap)
            for x in (-wide / 2, wide / 2)
        ]
    return parts


def pipe_bundle(rng: np.random.Generator) -> Parts:
    """Pipes on bearers, in layers that each have one pipe fewer than the layer below."""
    radius = rng.uniform(0.13, 0.24)
    foot, layers = int(rng.integers(3, 6)), int(rng.integers(2, 4))
    length = rng.uniform(2.0, 3.6)
    colour = pick(rng, *PIPE_COLOURS)
    paint = plain(colour, wear=0.12, rust=0.35 if colour == "#77482c" else 0.0)
    tint = plain(colour, wear=0.25)
    lay = spin("y", np.pi / 2)
    parts = []
    for layer in range(min(layers, foot)):
        for i in range(foot - layer):
            y = (i - (foot - layer - 1) / 2) * 2.02 * radius
            z = 0.1 + radius * (1 + layer * 1.75)
            shift = -length / 2 + rng.uniform(-0.08, 0.08)
            pipe = Part(
                Round(radius, radius, length, bore=0.86), paint if (i + layer) % 3 else tint
            )
            parts += moved([pipe], turn=lay, at=(shift, y, z))
    half = foot * radius
    timber = wood("#8d7350", along=1)
    for x in (-length * 0.3, length * 0.3):
        parts.append(Part(Box((x - 0.06, -half, 0), (x + 0.06, half, 0.1)), timber))
        parts += [
            Part(Box((x - 0.05, s * half - 0.04, 0), (x + 0.05, s * half + 0.04, 0.42)), timber)
            for s in (-1, 1)
        ]
    return parts


def oil_drum(rng: np.random.Generator) -> Parts:
    """A ribbed steel drum: painted, labelled or rusty, upright or lying on its side."""
    radius, height = 0.33, 0.98
    colour = pick(rng, *DRUM_COLOURS)
    rust = float(rng.choice([0.0, 0.12, 0.25, 0.45]))
    skin = plain(colour, wear=0.1, rust=rust)
    parts = [Part(Round(radius, radius, height), skin)]
    if rng.random() < 0.45:
        band = pick(rng, "#e9e6da", "#e0b21c", "#b3261e", "#f0f0f0")
        low = height * rng.uniform(0.38, 0.45)
        parts = [
            Part(Round(radius, radius, height), bands((colour, band, colour), (low, low + 0.2)))
        ]
    for z in (0.0, height * 0.33, height * 0.66, height - 0.035):
        parts.append(Part(Round(radius * 1.05, radius * 1.05, 0.035, bore=0.9), skin, at=(0, 0, z)))
    lid = plain(pick(rng, colour, "#3a3a3c"), wear=0.2, rust=rust * 0.7)
    parts.append(Part(Round(radius * 0.94, radius * 0.94, 0.012), lid, at=(0, 0, height - 0.008)))
    parts.append(Part(Round(0.05, 0.05, 0.03), plain("#b9b9b4"), at=(radius * 0.55, 0.1, height)))
    if rng.random() > 0.22:
        return parts
    return moved(parts, turn=spin("y", np.pi / 2), at=(-height / 2, 0, radius * 1.05))


def ladder(rng: np.random.Generator) -> Parts:
    """A straight ladder along z, of aluminium, wood or painted plastic."""
    length, half = rng.uniform(2.6, 3.8), rng.uniform(0.24, 0.3)
    kind = int(rng.integers(4))
    paint = (
        plain("#c9ccce", wear=0.06),
        wood("#b78f55", along=2),
        plain("#e6791a"),
        plain("#e3c11f"),
    )[kind]
    rung = plain("#d4d6d8", wear=0.05) if kind != 1 else wood("#c9a366")
    thick = 0.045 if kind != 1 else 0.055
    parts = [
        Part(Box((x - thick, -0.05, 0), (x + thick, 0.05, length)), paint) for x in (-half, half)
    ]
    for z in np.arange(0.25, length - 0.1, 0.3).tolist():
        parts.append(Part(Box((-half, -0.03, z - 0.025), (half, 0.03, z + 0.025)), rung))
    return parts


def step_ladder(rng: np.random.Generator) -> Parts:
    """A free-standing ladder: two short ladders hinged at the top."""
    half, height, spread = rng.uniform(0.26, 0.34), rng.uniform(1.5, 2.2), rng.uniform(0.2, 0.27)
    paint = plain(pick(rng, "#c9ccce", "#e6791a", "#e3c11f", "#b9312a"), wear=0.06)
    rung = plain("#d4d6d8", wear=0.05)
    length = float(np.hypot(height, height * spread))
    parts: Parts = []
    for side in (-1, 1):
        leg: Parts = [
            Part(Box((x - 0.04, -0.035, 0), (x + 0.04, 0.035, length)), paint)
            for x in (-half, half)
        ]
        steps = np.arange(0.25, length - 0.1, 0.3).tolist()
        leg += [
            Part(Box((-half, -0.06, z - 0.02), (half, 0.06, z + 0.02)), rung)
            for z in (steps if side < 0 else steps[::2])
        ]
        parts += moved(
            leg, turn=spin("x", side * np.arctan(spread)), at=(0, side * height * spread, 0)
        )
    parts.append(
        Part(Box((-half - 0.04, -0.12, height - 0.05), (half + 0.04, 0.12, height)), paint)
    )
    return parts


def barrier(rng: np.random.Generator) -> Parts:
    """A striped board on trestles, a plastic barrier or a concrete barrier."""
    return (_board_barrier, _board_barrier, _plastic_barrier, _concrete_barrier)[
        int(rng.integers(4))
    ](rng)


def _board_barrier(rng: np.random.Generator) -> Parts:
    half, height = rng.uniform(0.8, 1.15), rng.uniform(0.9, 1.1)
    colour, other = (("#f1f0ea", "#c8201c"), ("#e9e6dc", "#d4341f"), ("#f0c419", "#1d1d1d"))[
        int(rng.integers(3))
    ]
    slant = float(rng.choice([-1.0, 0.0, 1.0]))
    paint = stripes(colour, other, pitch=rng.uniform(0.36, 0.5), slant=slant)
    rows = [height - 0.24] if rng.random() < 0.35 else [height - 0.24, height - 0.62]
    parts = [Part(Box((-half, -0.03, z), (half, 0.03, z + 0.24)), paint) for z in rows]
    legs = plain(pick(rng, "#d9d7cf", "#3b3b3d", "#a98a5c"), wear=0.15)
    for x in (-half * 0.8, half * 0.8):
        for side in (-1, 1):
            leg = Part(Box((-0.04, -0.025, 0), (0.04, 0.025, height * 1.02)), legs)
            parts += moved([leg], turn=spin("x", side * 0.3), at=(x, side * 0.3 * height, 0))
    return parts


def _plastic_barrier(rng: np.random.Generator) -> Parts:
    half, height = rng.uniform(0.7, 1.0), rng.uniform(0.8, 0.95)
    colour = pick(rng, "#d8281e", "#e8e6df", "#ee6a17")
    skin = plain(colour, wear=0.07)
    profile = (
        (-0.25, 0),
        (0.25, 0),
        (0.25, 0.16),
        (0.11, 0.42),
        (0.09, height),
        (-0.09, height),
        (-0.11, 0.42),
        (-0.25, 0.16),
    )
    quarter = spin("z", np.pi / 2)
    parts = []
    modules = int(rng.integers(1, 3))
    for i in range(modules):
        other = pick(rng, colour, "#e8e6df", "#d8281e")
        paint = skin if i == 0 else plain(other, wear=0.07)
        for body in (
            Prism(
                ((-0.25, 0), (0.25, 0), (0.25, 0.16), (0.11, 0.42), (-0.11, 0.42), (-0.25, 0.16)),
                -half,
                half,
            ),
            Prism(((-0.11, 0.42), (0.11, 0.42), profile[4], profile[5]), -half + 0.03, half - 0.03),
        ):
            parts += moved(
                [Part(body, paint)], turn=quarter, at=((i - (modules - 1) / 2) * 2 * half, 0, 0)
            )
        parts += moved(
            [
                Part(
                    Box((-0.115, -half * 0.55, 0.5), (0.115, half * 0.55, 0.62)),
                    bands(("#f0efe8",), ()),
                )
            ],
            turn=quarter,
            at=((i - (modules - 1) / 2) * 2 * half, 0, 0),
        )
    return parts


def _concrete_barrier(rng: np.random.Generator) -> Parts:
    half, height = rng.uniform(1.0, 1.5), rng.uniform(0.82, 0.95)
    paint = plain(pick(rng, "#a9a69e", "#b7b2a6", "#97958f"), wear=0.16)
    quarter = spin("z", np.pi / 2)
    foot = Prism(
        ((-0.32, 0), (0.32, 0), (0.3, 0.12), (0.15, 0.38), (-0.15, 0.38), (-0.3, 0.12)), -half, half
    )
    top = Prism(((-0.15, 0.38), (0.15, 0.38), (0.09, height), (-0.09, height)), -half, half)
    parts = moved([Part(foot, paint), Part(top, paint)], turn=quarter)
    if rng.random() < 0.5:
        tape = stripes("#e9c21c", "#232323", pitch=0.4, slant=1.0)
        parts.append(
            Part(
                Box((-half * 0.96, -0.125, height - 0.2), (half * 0.96, 0.125, height - 0.03)), tape
            )
        )
    return parts
