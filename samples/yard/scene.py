"""One yard: its light, its backdrop, and where its things stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import LineString, MultiPoint
from shapely.geometry.base import BaseGeometry

from samples.yard.canvas import Camera, Light, covered, make_camera
from samples.yard.machines import concrete_mixer, wheel_loader
from samples.yard.solids import moved, spin
from samples.yard.stuff import Ground
from samples.yard.things import (
    Parts,
    barrier,
    brick_pallet,
    ladder,
    oil_drum,
    pipe_bundle,
    step_ladder,
    traffic_cone,
)

WIDTH, HEIGHT = 320, 240
FEWEST, MOST = 3, 9  # things in a yard
SMALLEST, LARGEST = 14, 150  # pixels along the longer side of what is seen of a thing

THINGS: dict[str, Callable[[np.random.Generator], Parts]] = {
    "traffic-cone": traffic_cone,
    "brick-pallet": brick_pallet,
    "pipe-bundle": pipe_bundle,
    "oil-drum": oil_drum,
    "wheel-loader": wheel_loader,
    "concrete-mixer": concrete_mixer,
    "ladder": ladder,
    "barrier": barrier,
}
DEPTHS = {
    "traffic-cone": (4.2, 11.0),
    "brick-pallet": (5.0, 12.0),
    "pipe-bundle": (6.5, 13.0),
    "oil-drum": (4.5, 11.0),
    "wheel-loader": (9.0, 15.0),
    "concrete-mixer": (5.0, 11.0),
    "ladder": (5.0, 9.0),
    "barrier": (5.5, 12.0),
}
COPIES = {"traffic-cone": (1, 5), "oil-drum": (1, 4), "barrier": (1, 3)}  # half-open ranges


@dataclass(frozen=True)
class Line:
    """The yard's back line: passes through (0, `distance`), turned by `yaw`."""

    distance: float
    yaw: float

    def place(self, parts: Parts, *, along: float = 0, behind: float = 0) -> Parts:
        """Stand parts on the line, or `behind` it as seen from the camera."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        at = (along * c - behind * s, self.distance + along * s + behind * c, 0)
        return moved(parts, turn=spin("z", self.yaw), at=at)

    def before(self, shape: BaseGeometry, gap: float) -> bool:
        """Whether a shape on the floor lies wholly before the line."""
        c, s = 60 * np.cos(self.yaw), 60 * np.sin(self.yaw)
        line = LineString([(-c, self.distance - s), (c, self.distance + s)])
        return bool(shape.distance(line) > gap and shape.centroid.y < self.distance + 30 * abs(s))


@dataclass(frozen=True)
class Placed:
    """A thing that stands in the yard, with its place on the floor and roughly its pixels."""

    label: str
    parts: Parts
    floor: BaseGeometry
    pixels: NDArray[np.bool_]
    depth: float


def make_light(rng: np.random.Generator) -> Light:
    """Noon, evening, overcast or dusk; the sun stands behind or beside the camera."""
    kind = ("noon", "evening", "overcast", "dim")[int(rng.choice(4, p=[0.4, 0.25, 0.22, 0.13]))]
    rise = np.deg2rad(
        {"noon": (38, 62), "evening": (14, 26), "overcast": (45, 65), "dim": (20, 35)}[kind]
    )
    elevation, azimuth = rng.uniform(*rise), rng.uniform(-1.4, 1.4)
    to_sun = np.array(
        [
            np.sin(azimuth) * np.cos(elevation),
            -np.cos(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ],
        np.float32,
    )
    sun, sky, zenith, horizon, clouds, exposure = {
        "noon": (
            (3.1, 2.9, 2.6),
            (0.62, 0.74, 0.95),
            (0.12, 0.27, 0.66),
            (0.62, 0.76, 0.95),
            0.3,
            0.62,
        ),
        "evening": (
            (3.4, 2.1, 1.1),
            (0.5, 0.55, 0.72),
            (0.16, 0.28, 0.55),
            (1.1, 0.78, 0.5),
            0.35,
            0.66,
        ),
        "overcast": (
            (0.35, 0.35, 0.34),
            (1.5, 1.55, 1.62),
            (0.62, 0.66, 0.72),
            (0.95, 0.96, 0.98),
            0.85,
            0.66,
        ),
        "dim": (
            (0.5, 0.42, 0.5),
            (0.5, 0.56, 0.75),
            (0.1, 0.15, 0.32),
            (0.55, 0.45, 0.5),
            0.5,
            0.72,
        ),
    }[kind]
    clouds = float(np.clip(clouds + rng.uniform(-0.25, 0.25), 0, 1))
    return Light(to_sun, sun, sky, zenith, horizon, clouds, exposure * rng.uniform(0.85, 1.18))


def frame_yard(rng: np.random.Generator, *, sampling: int) -> Camera:
    """A camera held at eye height or from a scaffold; `sampling` rays a pixel and axis."""
    focal = rng.uniform(290, 390)
    horizon = rng.uniform(0.2, 0.36)
    return make_camera(
        width=WIDTH * sampling,
        height=HEIGHT * sampling,
        focal=focal * sampling,
        above=rng.uniform(1.7, 3.3),
        pitch=float(np.arctan((0.5 - horizon) * HEIGHT / focal)),
        roll=rng.normal(0, 0.012),
    )


def make_ground(rng: np.random.Generator, line: Line) -> Ground:
    """Dirt with a pavement along the back line, at one side, or before the camera."""
    back = -line.distance * np.cos(line.yaw)
    kind = int(rng.choice(4, p=[0.35, 0.35, 0.2, 0.1]))
    side = rng.uniform(1.0, 4.5)
    heading, paved = (
        (line.yaw - np.pi / 2, (back, back + rng.uniform(1.6, 4.5))),
        (rng.uniform(-0.3, 0.3), (side, 99.0) if rng.random() < 0.5 else (-99.0, -side)),
        (-np.pi / 2 + rng.uniform(-0.2, 0.2), (-rng.uniform(5.0, 8.0), 99.0)),
        (0.0, (98.0, 99.0)),
    )[kind]
    tracks = [
        (
            rng.uniform(-3, 3),
            rng.uniform(-0.9, 0.9) + np.pi / 2 * (rng.random() < 0.6),
            rng.uniform(-0.03, 0.03),
        )
        for _ in range(int(rng.integers(1, 4)))
    ]
    dirt = ("#a38560", "#8f7350", "#b09a78", "#9c8b74", "#a0714c", "#8d8478")[int(rng.integers(6))]
    slab = ("#a7a59e", "#97948c", "#b3aa9a", "#9d8f84")[int(rng.integers(4))]
    return Ground(
        dirt,
        slab,
        rng.uniform(0.6, 1.1),
        heading,
        paved,
        tuple(tracks),
        rng.uniform(0.2, 1.0),
        rng.uniform(0, 99),
    )


def place_things(
    rng: np.random.Generator, camera: Camera, line: Line, taken: Sequence[BaseGeometry]
) -> list[Placed]:
    """Choose two to five categories and stand their things in the yard, farthest first."""
    placed: list[Placed] = []
    wanted = _wish_list(rng)
    for label, near in wanted:
        for _ in range(14):
            mate = placed[-1] if near and placed else None
            thing = _propose(rng, camera, line, label, mate)
            if thing and _fits(rng, line, thing, placed, taken):
                placed.append(thing)
                break
        if len(placed) == MOST:
            break
    return sorted(placed, key=lambda thing: -thing.depth)


def _wish_list(rng: np.random.Generator) -> list[tuple[str, bool]]:
    """Labels to place, large ones first; True marks one that stands near the one before."""
    labels = [str(x) for x in rng.choice(list(THINGS), size=int(rng.integers(3, 6)), replace=False)]
    labels.sort(key=lambda label: -DEPTHS[label][1])
    wanted = []
    for label in labels:
        wanted.append((label, False))
        wanted += [(label, True)] * (int(rng.integers(*COPIES.get(label, (1, 2)))) - 1)
    spare = [
        str(x)
        for x in rng.choice(["traffic-cone", "oil-drum", "barrier", "brick-pallet"], size=FEWEST)
    ]
    return wanted + [(label, False) for label in spare[: max(0, FEWEST + 1 - len(wanted))]]


def _propose(
    rng: np.random.Generator, camera: Camera, line: Line, label: str, mate: Placed | None
) -> Placed | None:
    parts = THINGS[label](rng)
    if label == "ladder" and rng.random() < 0.6:
        reach = max(part.corners()[:, 2].max() for part in parts)
        lean = rng.uniform(0.2, 0.34)
        tilted = moved(parts, turn=spin("y", rng.normal(0, 0.02)) @ spin("x", -lean))
        along = rng.uniform(-0.45, 0.45) * WIDTH / 340 * line.distance
        return _placed(
            camera,
            label,
            line.place(tilted, along=along, behind=-float(reach * np.sin(lean)) - 0.12),
        )
    if label == "ladder":
        parts = step_ladder(rng)
    depth = rng.uniform(*DEPTHS[label])
    x = rng.uniform(-0.54, 0.54) * camera.width / camera.focal * depth
    if mate is not None:
        centre = mate.floor.centroid
        x, depth = (
            centre.x + rng.choice([-1, 1]) * rng.uniform(0.7, 1.7),
            centre.y + rng.uniform(-1.2, 1.2),
        )
    yaw = rng.uniform(-np.pi, np.pi)
    if label == "barrier":
        yaw = rng.normal(0, 0.5)
    if depth < 3.8:
        return None
    return _placed(camera, label, moved(parts, turn=spin("z", yaw), at=(float(x), float(depth), 0)))


def _placed(camera: Camera, label: str, parts: Parts) -> Placed | None:
    """Measure a thing as hulls of its parts at one ray a pixel."""
    scale = camera.width / WIDTH
    pixels = np.zeros(WIDTH * HEIGHT, np.bool_)
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for part in parts:
        seen = camera.project(part.corners())
        if (seen[:, 2] < 2.5).any():
            return None
        points = seen[:, :2] / scale
        low, high = np.minimum(low, points.min(0)), np.maximum(high, points.max(0))
        pixels[covered(points, width=WIDTH, height=HEIGHT)] = True
    inside = np.clip(np.minimum(high, (WIDTH, HEIGHT)) - np.maximum(low, 0), 0, None)
    share = inside.prod() / (high - low).prod()
    if share < 0.4 or not SMALLEST <= inside.max() <= LARGEST or 0.9 < share < 0.995:
        return None
    corners = np.concatenate([part.corners()[:, :2] for part in parts])
    floor = MultiPoint(corners.tolist()).convex_hull
    return Placed(label, parts, floor, pixels, float(np.hypot(floor.centroid.x, floor.centroid.y)))


def _fits(
    rng: np.random.Generator,
    line: Line,
    thing: Placed,
    placed: list[Placed],
    taken: Sequence[BaseGeometry],
) -> bool:
    """Whether a thing stands free on the floor and hides no other nor is hidden too much."""
    cut = any(
        thing.pixels.reshape(HEIGHT, WIDTH)[edge].any()
        for edge in ((0,), (-1,), (slice(None), 0), (slice(None), -1))
    )
    if cut and rng.random() < 0.6:
        return False
    if thing.label != "ladder" and not line.before(thing.floor, 0.4):
        return False
    if any(thing.floor.distance(other) < 0.12 for other in [*taken, *(p.floor for p in placed)]):
        return False
    hidden = np.zeros(WIDTH * HEIGHT, np.bool_)
    for one in sorted([*placed, thing], key=lambda p: p.depth):
        free = (one.pixels & ~hidden).sum()
        if free < 90 or free < 0.45 * one.pixels.sum():
            return False
        hidden |= one.pixels
    return True
