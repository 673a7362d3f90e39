"""One photo of a yard: the backdrop and the things are rendered, then developed like a photo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely.geometry import MultiPoint
from shapely.geometry.base import BaseGeometry

from samples.yard import backdrop, stuff
from samples.yard.canvas import Canvas, Image, shade
from samples.yard.ground import draw_ground, paint_sky
from samples.yard.scene import PlacedThing, place_things
from samples.yard.setting import (
    HEIGHT,
    WIDTH,
    BackLine,
    choose_camera,
    choose_ground,
    choose_light,
)
from samples.yard.solids import Part, moved
from samples.yard.things import Parts

SAMPLING = 2  # rays per pixel along each axis


@dataclass(frozen=True)
class Silhouette:
    """All pixels of a thing, visible or hidden: (H, W) uint8, 1 or 0, a value for each ray."""

    label: str
    mask: NDArray[np.uint8]


@dataclass(frozen=True)
class RenderedPhoto:
    """A photo with its stuff and its things."""

    image: NDArray[np.uint8]  # (H, W, 3) BGR
    stuff: NDArray[np.uint8]  # (H, W) COCO ids
    things: tuple[Silhouette, ...]  # from back to front


def render_photo(rng: np.random.Generator) -> RenderedPhoto:
    """Build a yard and render a photo of it."""
    camera, light = choose_camera(rng, sampling=SAMPLING), choose_light(rng)
    line = BackLine(rng.uniform(12.5, 18.0), rng.uniform(-0.32, 0.32))
    ground = choose_ground(rng, line)
    canvas = Canvas(camera, light)
    paint_sky(canvas, rng)
    draw_ground(canvas, ground)
    solid, taken = _draw_backdrop(canvas, rng, line, ground.dirt)
    things = place_things(rng, camera, line, taken)
    silhouettes = [_draw_thing(canvas, i + 1, thing) for i, thing in enumerate(things)]
    solid += [part for thing in things for part in thing.parts]
    image = _develop(shade(canvas, solid, rng), light.exposure, rng)
    ids = canvas.stuff.reshape(camera.height, camera.width)[1::SAMPLING, 1::SAMPLING]
    order = _back_to_front(canvas, silhouettes)
    return RenderedPhoto(image, np.ascontiguousarray(ids), tuple(silhouettes[i] for i in order))


def _draw_thing(canvas: Canvas, number: int, thing: PlacedThing) -> Silhouette:
    mask = np.zeros(canvas.depth.shape, np.uint8)
    for part in thing.parts:
        mask[canvas.draw(part, thing=number)] = 1
    return Silhouette(thing.label, mask.reshape(canvas.camera.height, canvas.camera.width))


def _back_to_front(canvas: Canvas, silhouettes: list[Silhouette]) -> list[int]:
    """Order things so that painting them in order reproduces what is visible in the photo."""
    seen = canvas.thing.reshape(canvas.camera.height, canvas.camera.width)
    rest, order = list(range(len(silhouettes))), []
    while rest:
        fronts = [
            sum(int((silhouettes[j].mask[seen == i + 1] > 0).sum()) for j in rest if j != i)
            for i in rest
        ]
        order.append(rest.pop(int(np.argmin(fronts))))
    return order


def _draw_backdrop(
    canvas: Canvas, rng: np.random.Generator, line: BackLine, dirt: str
) -> tuple[Parts, list[BaseGeometry]]:
    """Draw everything behind the things; return parts that cast shadows, and occupied ground."""
    _draw_far(canvas, rng)
    solid = _draw_trees(canvas, rng, line)
    for part, kind in _back_line(rng, line):
        canvas.draw(part, stuff=kind)
        solid.append(part)
    taken: list[BaseGeometry] = []
    if rng.random() < 0.4:
        heap = line.place(
            backdrop.dirt_heap(rng, dirt), along=rng.uniform(-6, 6), behind=-rng.uniform(1.2, 2.2)
        )
        backdrop.draw_all(canvas, heap, stuff=stuff.DIRT)
        solid += heap
        taken.append(
            MultiPoint(np.concatenate([p.corners()[:, :2] for p in heap]).tolist()).convex_hull
        )
    if rng.random() < 0.35:
        mast = line.place(
            backdrop.pole(rng), along=rng.uniform(-7, 7), behind=rng.choice([-0.5, 0.8])
        )
        backdrop.draw_all(canvas, mast, stuff=stuff.VOID)
        solid += mast
    return solid, taken


def _draw_far(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw buildings, cranes and a row of trees at the horizon."""
    options: list[tuple[float, Callable[[np.random.Generator], Parts]]] = [
        (0.35, backdrop.crane),
        (0.5, backdrop.far_building),
        (0.25, backdrop.far_building),
    ]
    for probability, make in options:
        if rng.random() < probability:
            at = (rng.uniform(-34, 34), rng.uniform(70, 95), 0)
            backdrop.draw_all(canvas, moved(make(rng), at=at), stuff=stuff.VOID)
    if rng.random() < 0.85:
        for x in np.arange(-36, 37, rng.uniform(3.5, 7)).tolist():
            at = (x + rng.uniform(-1, 1), 60 + rng.uniform(-3, 3), 0)
            bush = moved(backdrop.bush(rng), at=at)
            backdrop.draw_all(canvas, bush, stuff=stuff.TREE)


def _draw_trees(canvas: Canvas, rng: np.random.Generator, line: BackLine) -> Parts:
    """Draw trees behind the back line and return their parts."""
    solid: Parts = []
    for _ in range(int(rng.choice([0, 1, 2, 3, 5], p=[0.15, 0.25, 0.25, 0.2, 0.15]))):
        trunk = backdrop.tree(rng, height=rng.uniform(4.5, 8.0))
        solid += line.place(trunk, along=rng.uniform(-11, 11), behind=rng.uniform(2.2, 6))
    if solid:
        backdrop.draw_all(canvas, solid, stuff=stuff.TREE)
    return solid


def _back_line(rng: np.random.Generator, line: BackLine) -> list[tuple[Part, int]]:
    """Choose a wall, a building or a fence along the back line, or two of them side by side."""
    makers = {
        "wall": lambda a, b: [
            (p, stuff.WALL) for p in backdrop.brick_wall(rng, a, b, rng.uniform(2.2, 3.6))
        ],
        "boards": lambda a, b: [
            (p, stuff.FENCE) for p in backdrop.board_fence(rng, a, b, rng.uniform(1.7, 2.3))
        ],
        "wire": lambda a, b: [(p, stuff.FENCE) for p in backdrop.wire_fence(rng, a, b, 2.2)],
    }
    left, right = (
        ("wall", "boards"),
        ("boards", "wall"),
        ("wall", "wire"),
        ("wire", "wall"),
        ("wall", "wall"),
        ("boards", "wire"),
        ("wire", "wire"),
        ("boards", "boards"),
    )[int(rng.choice(8, p=[0.17, 0.17, 0.17, 0.17, 0.12, 0.06, 0.08, 0.06]))]
    split = rng.uniform(-3.5, 3.5) if left != right else 30.0
    found = makers[left](-30.0, split)
    if split < 30:
        found += makers[right](split, 30.0)
    if left == "wall" and rng.random() < 0.3:
        found = _building(rng, -30.0, split) + found[len(found) if split == 30 else 0 :]
    return [(part, kind) for (piece, kind) in found for part in line.place([piece])]


def _building(rng: np.random.Generator, low: float, high: float) -> list[tuple[Part, int]]:
    height = rng.uniform(4.2, 6.5)
    walls = backdrop.brick_wall(rng, low, high, height)
    return [(p, stuff.WALL) for p in walls] + [
        (p, stuff.VOID) for p in backdrop.windows(rng, low, high, height)
    ]


def _develop(light: Image, exposure: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn linear light (H, W, 3) RGB into an 8-bit BGR photo: lens, tone curve and noise."""
    small = cv2.resize(light, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.3, 0.55))
    glow = cv2.GaussianBlur(np.minimum(small, 3), (0, 0), 7)
    y, x = np.mgrid[-0.75 : 0.75 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    vignette = 1 - rng.uniform(0.08, 0.2) * (x * x + y * y)
    balance = 1 + rng.uniform(-0.05, 0.05, 3)
    exposed = (0.95 * small + 0.05 * glow) * vignette[..., None] * balance * exposure
    curve = exposed * (2.51 * exposed + 0.03) / (exposed * (2.43 * exposed + 0.59) + 0.14)
    photo = np.clip(curve, 0, 1) ** (1 / 2.2) * 255
    photo += rng.normal(0, rng.uniform(1.0, 3.0), photo.shape[:2])[..., None] + rng.normal(
        0, 1.0, photo.shape
    )
    return np.ascontiguousarray(np.clip(photo + 0.5, 0, 255).astype(np.uint8)[..., ::-1])
