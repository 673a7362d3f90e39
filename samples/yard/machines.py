"""The machines in a yard: wheel loaders and concrete mixers."""

from __future__ import annotations

import numpy as np

from samples.yard.paint import glass, plain
from samples.yard.solids import Box, Paint, Part, Prism, Round, moved, scaled, spin
from samples.yard.things import Parts, pick

TYRE, STEEL = "#1b1b1c", "#4a4b4d"


def wheel_loader(rng: np.random.Generator) -> Parts:
    """A wheel loader along x, its bucket at +x, lowered or raised."""
    colour = pick(rng, "#e8b010", "#f0b81a", "#e5801a", "#dfa60f", "#c9311f", "#2f7a3c")
    skin, dark = plain(colour, wear=0.08), plain("#2b2c2e", wear=0.2)
    lift = float(rng.choice([-0.18, 0.0, 0.3, 0.62]))
    parts = [*_chassis(skin, dark), *_cab(rng, skin, dark), *_boom(rng, skin, lift)]
    hub = plain(pick(rng, colour, "#d9d9d3", colour), wear=0.1)
    for x in (-1.25, 1.15):
        for y in (-0.92, 0.92):
            parts += _wheel(x, y, 0.68, 0.4, hub)
    return scaled(parts, rng.uniform(0.85, 1.0))


def _wheel(x: float, y: float, radius: float, width: float, hub: Paint) -> Parts:
    tyre, lay = plain(TYRE, wear=0.25), spin("x", np.pi / 2)
    wheel = [
        Part(Round(radius, radius, width), tyre, at=(0, 0, -width / 2)),
        Part(Round(radius * 0.55, radius * 0.5, width + 0.06), hub, at=(0, 0, -width / 2 - 0.03)),
        Part(Round(0.12, 0.12, width + 0.14), plain(STEEL), at=(0, 0, -width / 2 - 0.07)),
    ]
    return moved(wheel, turn=lay, at=(x, y, radius))


def _chassis(skin: Paint, dark: Paint) -> Parts:
    hood = Prism(
        ((-2.35, 0.85), (-0.55, 0.75), (-0.55, 1.75), (-2.1, 1.6), (-2.35, 1.45)), -0.62, 0.62
    )
    frame = Prism(((-2.1, 0.45), (0.1, 0.45), (0.1, 0.8), (-2.1, 0.85)), -0.5, 0.5)
    front = Prism(
        ((0.05, 0.5), (1.5, 0.5), (1.5, 0.95), (0.9, 1.5), (0.35, 1.5), (0.05, 0.95)), -0.42, 0.42
    )
    parts = [Part(hood, skin), Part(frame, dark), Part(front, skin)]
    parts.append(Part(Box((-2.45, -0.6, 0.7), (-2.2, 0.6, 1.0)), dark))
    for y in (-0.64, 0.61):
        parts.append(Part(Box((-1.9, y, 1.15), (-0.9, y + 0.03, 1.45)), plain("#202124", wear=0.3)))
    for x, y in ((-1.25, -0.92), (-1.25, 0.92)):
        guard = Prism(
            ((x - 0.75, 1.38), (x + 0.75, 1.38), (x + 0.7, 1.46), (x - 0.7, 1.46)),
            y - 0.24,
            y + 0.24,
        )
        parts.append(Part(guard, skin))
    return parts


def _cab(rng: np.random.Generator, skin: Paint, dark: Paint) -> Parts:
    pane = glass(pick(rng, "#26323a", "#1d262b", "#2f3b3e"))
    cab = Prism(((-0.62, 1.3), (0.35, 1.3), (0.45, 1.9), (0.22, 2.75), (-0.62, 2.75)), -0.55, 0.55)
    parts = [Part(cab, pane)]
    parts.append(Part(Box((-0.78, -0.64, 2.72), (0.38, 0.64, 2.86)), skin))
    parts.append(Part(Box((-0.66, -0.58, 0.8), (0.4, 0.58, 1.5)), skin))
    for y in (-0.58, 0.53):
        for x in (-0.66, -0.16):
            parts.append(Part(Box((x, y, 1.4), (x + 0.07, y + 0.05, 2.75)), dark))
        post = Part(Box((-0.035, y, 0), (0.035, y + 0.05, 1.3)), dark)
        parts += moved([post], turn=spin("y", -0.14), at=(0.44, 0, 1.45))
    parts.append(Part(Round(0.06, 0.06, 0.75), plain("#232325"), at=(-1.5, 0.3, 1.6)))
    parts.append(Part(Round(0.07, 0.06, 0.14), plain("#f08a12", wear=0.02), at=(-0.4, 0.3, 2.86)))
    return parts


def _boom(rng: np.random.Generator, skin: Paint, lift: float) -> Parts:
    reach = 1.75
    tip_x, tip_z = 0.75 + reach * np.cos(lift - 0.3), 1.42 + reach * np.sin(lift - 0.3)
    parts: Parts = []
    for y in (-0.36, 0.28):
        arm = Part(Box((0, y, -0.13), (reach, y + 0.1, 0.13)), skin)
        parts += moved([arm], turn=spin("y", 0.3 - lift), at=(0.75, 0, 1.42))
    ram = Part(Round(0.06, 0.06, 1.3), plain("#b9bcbe", wear=0.05))
    parts += moved([ram], turn=spin("y", np.pi / 2 - lift + 0.25), at=(0.7, 0, 1.1))
    bucket = _bucket(pick(rng, "#4a4b4d", "#3a3a3b", "#8a6a1a"))
    curl = float(rng.uniform(-0.45, 0.1)) if lift > -0.1 else 0.0
    return parts + moved(bucket, turn=spin("y", curl), at=(tip_x, 0, max(tip_z - 0.35, 0.02)))


def _bucket(colour: str) -> Parts:
    steel, wide = plain(colour, wear=0.25, rust=0.12), 1.25
    side = ((0.0, 0.15), (0.2, 0.0), (1.05, 0.0), (0.55, 0.82), (0.05, 0.75))
    plates = [
        Part(Prism(((0.15, 0.0), (1.1, 0.0), (1.1, 0.05), (0.15, 0.06)), -wide, wide), steel),
        Part(Prism(((0.0, 0.12), (0.08, 0.12), (0.12, 0.85), (0.02, 0.8)), -wide, wide), steel),
        Part(Prism(((0.0, 0.15), (0.18, 0.0), (0.22, 0.05), (0.06, 0.2)), -wide, wide), steel),
    ]
    for y in (-wide, wide - 0.05):
        plates.append(Part(Prism(side, y, y + 0.05), steel))
    teeth = plain("#77787a", wear=0.2)
    for y in np.linspace(-wide + 0.1, wide - 0.1, 7).tolist():
        plates.append(Part(Box((1.05, y - 0.05, 0), (1.22, y + 0.05, 0.05)), teeth))
    return plates


def concrete_mixer(rng: np.random.Generator) -> Parts:
    """A concrete mixer: a tilted drum with an open mouth on a wheeled frame."""
    colour = pick(rng, "#e2711d", "#d8a214", "#2a62a8", "#b8302a", "#3d8a4f", "#b9bbb8")
    metal = plain(pick(rng, colour, "#3a3c3f", "#8b2f26"), wear=0.15)
    drum = moved(_drum(rng, colour), turn=spin("y", rng.uniform(0.25, 1.15)), at=(0.02, 0, 0.98))
    parts = drum + _frame(metal)
    motor = plain(pick(rng, colour, "#d9d9d4", "#2e2f31"), wear=0.1)
    parts.append(Part(Box((-0.62, -0.22, 0.62), (-0.36, 0.22, 1.08)), motor))
    wheel = plain(TYRE, wear=0.2)
    for y in (-0.5, 0.44):
        tyre = Part(Round(0.25, 0.25, 0.1), wheel)
        rim = Part(Round(0.13, 0.13, 0.12), plain("#c9c9c2"), at=(0, 0, -0.01))
        parts += moved([tyre, rim], turn=spin("x", -np.pi / 2), at=(-0.42, y, 0.25))
    return scaled(parts, rng.uniform(1.05, 1.3))


def _drum(rng: np.random.Generator, colour: str) -> Parts:
    skin = plain(colour, wear=0.12, rust=float(rng.choice([0.0, 0.1, 0.2])))
    splashed = plain(colour, wear=0.3)
    gear = plain("#2b2b2c", wear=0.2)
    return [
        Part(Round(0.26, 0.46, 0.34), skin, at=(0, 0, -0.45)),
        Part(Round(0.46, 0.46, 0.2), skin, at=(0, 0, -0.11)),
        Part(Round(0.485, 0.485, 0.06, bore=0.9), gear, at=(0, 0, -0.05)),
        Part(Round(0.46, 0.27, 0.46, bore=0.93), splashed, at=(0, 0, 0.09)),
        Part(Round(0.3, 0.3, 0.05, bore=0.85), gear, at=(0, 0, 0.53)),
    ]


def _frame(metal: Paint) -> Parts:
    parts: Parts = []
    for y in (-0.56, 0.5):
        for lean in (-0.42, 0.42):
            leg = Part(Box((-0.035, y, -0.02), (0.035, y + 0.06, 1.06)), metal)
            parts += moved([leg], turn=spin("y", lean), at=(-0.42 * np.sign(lean), 0, 0.04))
        parts.append(Part(Box((-0.44, y, 0.28), (0.46, y + 0.06, 0.34)), metal))
    parts.append(Part(Box((-0.06, -0.56, 0.94), (0.06, 0.56, 1.02)), metal))
    ring = Part(Round(0.3, 0.3, 0.035, bore=0.85), plain("#2c2c2e"))
    return parts + moved([ring], turn=spin("x", np.pi / 2), at=(0.05, 0.68, 1.02))
