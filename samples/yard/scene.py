"""The things in one yard and their positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import MultiPoint
from shapely.geometry.base import BaseGeometry

from samples.yard.canvas import Camera, covered
from samples.yard.machines import concrete_mixer, wheel_loader
from samples.yard.setting import HEIGHT, WIDTH, BackLine
from samples.yard.solids import moved, spin
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

MIN_THINGS, MAX_THINGS = 3, 9
MIN_SIDE, MAX_SIDE = 14, 150  # pixels along the longer side of the visible part of a thing

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
DEPTHS = {  # metres from the camera
    "traffic-cone": (4.2, 11.0),
    "brick-pallet": (5.0, 12.0),
    "pipe-bundle": (6.5, 13.0),
    "oil-drum": (4.5, 11.0),
    "wheel-loader": (9.0, 15.0),
    "concrete-mixer": (5.0, 11.0),
    "ladder": (5.0, 9.0),
    "barrier": (5.5, 12.0),
}
COPIES = {"traffic-cone": (1, 5), "oil-drum": (1, 4), "barrier": (1, 3)}  # maximum excluded


@dataclass(frozen=True)
class PlacedThing:
    """A thing in the yard, with its footprint on the ground and its approximate pixels."""

    label: str
    parts: Parts
    footprint: BaseGeometry
    pixels: NDArray[np.bool_]  # (HEIGHT * WIDTH,)
    depth: float  # metres from the camera


def place_things(
    rng: np.random.Generator, camera: Camera, line: BackLine, taken: Sequence[BaseGeometry]
) -> list[PlacedThing]:
    """Choose three to five categories and place things of them; return the farthest first."""
    placed: list[PlacedThing] = []
    wanted = _choose_labels(rng)
    for label, is_near in wanted:
        for _ in range(14):
            neighbour = placed[-1] if is_near and placed else None
            thing = _propose(rng, camera, line, label, neighbour)
            if thing and _fits(rng, line, thing, placed, taken):
                placed.append(thing)
                break
        if len(placed) == MAX_THINGS:
            break
    return sorted(placed, key=lambda thing: -thing.depth)


def _choose_labels(rng: np.random.Generator) -> list[tuple[str, bool]]:
    """Choose labels to place, large things first; True means next to the previous thing."""
    labels = [str(x) for x in rng.choice(list(THINGS), size=int(rng.integers(3, 6)), replace=False)]
    labels.sort(key=lambda label: -DEPTHS[label][1])
    wanted = []
    for label in labels:
        wanted.append((label, False))
        wanted += [(label, True)] * (int(rng.integers(*COPIES.get(label, (1, 2)))) - 1)
    spare = [
        str(x)
        for x in rng.choice(
            ["traffic-cone", "oil-drum", "barrier", "brick-pallet"], size=MIN_THINGS
        )
    ]
    return wanted + [(label, False) for label in spare[: max(0, MIN_THINGS + 1 - len(wanted))]]


def _propose(
    rng: np.random.Generator,
    camera: Camera,
    line: BackLine,
    label: str,
    neighbour: PlacedThing | None,
) -> PlacedThing | None:
    """Choose a thing and its position, near `neighbour` if given; None if it is unsuitable."""
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
    if neighbour is not None:
        centre = neighbour.footprint.centroid
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


def _placed(camera: Camera, label: str, parts: Parts) -> PlacedThing | None:
    """Approximate a thing by the hulls of its parts; None if its visible part is unsuitable."""
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
    if share < 0.4 or not MIN_SIDE <= inside.max() <= MAX_SIDE or 0.9 < share < 0.995:
        return None
    corners = np.concatenate([part.corners()[:, :2] for part in parts])
    footprint = MultiPoint(corners.tolist()).convex_hull
    centre = footprint.centroid
    return PlacedThing(label, parts, footprint, pixels, float(np.hypot(centre.x, centre.y)))


def _fits(
    rng: np.random.Generator,
    line: BackLine,
    thing: PlacedThing,
    placed: list[PlacedThing],
    taken: Sequence[BaseGeometry],
) -> bool:
    """Return whether a thing overlaps no other on the ground and none is hidden too much."""
    cut = any(
        thing.pixels.reshape(HEIGHT, WIDTH)[edge].any()
        for edge in ((0,), (-1,), (slice(None), 0), (slice(None), -1))
    )
    if cut and rng.random() < 0.6:
        return False
    if thing.label != "ladder" and not line.is_behind(thing.footprint, gap=0.4):
        return False
    if any(
        thing.footprint.distance(other) < 0.12 for other in [*taken, *(p.footprint for p in placed)]
    ):
        return False
    hidden = np.zeros(WIDTH * HEIGHT, np.bool_)
    for other in sorted([*placed, thing], key=lambda p: p.depth):
        visible = (other.pixels & ~hidden).sum()
        if visible < 90 or visible < 0.45 * other.pixels.sum():
            return False
        hidden |= other.pixels
    return True
