"""Camera, light and shadow: from solids to an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from samples.yard.solids import Bools, Matrix, Part, Points, Scalars, Vectors, spin

Pixels = NDArray[np.intp]  # flat indices
RGB = tuple[float, float, float]  # linear light
Image = NDArray[np.float32]  # (H, W, 3) linear RGB

SUN_CELL, SUN_CELLS = 0.065, 512  # size in metres and number of cells of the shadow map
FLOOR_CELL, FLOOR_CELLS = 0.1, 360  # the same for the map of contact shadows
CENTRE = np.array([0.0, 13.0, 1.0], np.float32)  # of both maps


@dataclass(frozen=True)
class Camera:
    """A pinhole camera above the origin, looking along y; `axes` rows: right, down, forward."""

    width: int
    height: int
    focal: float
    eye: Points
    axes: Matrix

    def rays(self) -> Vectors:
        """Return (3, H * W) directions whose forward component is 1, so that distance is depth."""
        x = (np.arange(self.width, dtype=np.float32) + 0.5 - self.width / 2) / self.focal
        y = (np.arange(self.height, dtype=np.float32) + 0.5 - self.height / 2) / self.focal
        right, down, forward = (axis[:, None, None] for axis in self.axes)
        rays: Vectors = (right * x[None, None] + down * y[None, :, None] + forward).reshape(3, -1)
        return rays

    def project(self, points: Points) -> Points:
        """Project (K, 3) points in the world to (K, 3): x and y in pixels, depth in metres."""
        seen = (points - self.eye) @ self.axes.T
        depth = np.maximum(seen[:, 2:], 1e-3)
        centre = np.array([self.width / 2, self.height / 2], np.float32)
        return np.concatenate([seen[:, :2] / depth * self.focal + centre, seen[:, 2:]], axis=1)


def make_camera(
    *, width: int, height: int, focal: float, above: float, pitch: float, roll: float
) -> Camera:
    """Return a camera `above` metres above the ground, with pitch (down) and roll in radians."""
    level = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
    axes = spin("z", roll) @ level @ spin("x", pitch)
    return Camera(width, height, focal, np.array([0, 0, above], np.float32), axes)


def covered(points: NDArray[np.floating[Any]], *, width: int, height: int) -> Pixels:
    """Return the pixels covered by the convex hull of (K, 2) points x, y."""
    hull = cv2.convexHull(np.clip(points, -1e5, 1e5).round().astype(np.int32))
    (x0, y0), (x1, y1) = hull.min(axis=(0, 1)), hull.max(axis=(0, 1)) + 1
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if x0 >= x1 or y0 >= y1:
        return np.zeros(0, np.intp)
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillConvexPoly(mask, hull - np.array([x0, y0], np.int32), 1)
    rows, columns = np.nonzero(mask)
    return (rows + y0) * width + columns + x0


@dataclass(frozen=True)
class Light:
    """The direction of the sun and the colours of its light and of the sky."""

    to_sun: Points  # (3,) unit vector
    sun: RGB
    sky: RGB
    zenith: RGB
    horizon: RGB
    clouds: float  # 0 clear to 1 overcast
    exposure: float


class Canvas:
    """The first surface that each of N rays meets: its depth, colour, orientation and category."""

    def __init__(self, camera: Camera, light: Light) -> None:
        self.camera, self.light = camera, light
        self.rays = camera.rays()
        count = self.rays.shape[1]
        self.depth = np.full(count, np.inf, np.float32)
        self.albedo = np.zeros((3, count), np.float32)
        self.to_sun = np.zeros(count, np.float32)
        self.to_sky = np.ones(count, np.float32)
        self.floor = np.zeros(count, np.bool_)
        self.stuff = np.zeros(count, np.uint8)
        self.thing = np.zeros(count, np.uint8)  # number of the visible thing, 0 for none

    def draw(self, part: Part, *, stuff: int | None = None, thing: int = 0) -> Pixels:
        """Draw a part; return all pixels that it covers, visible or hidden, including its holes."""
        pixels = self._candidates(part)
        distance, local, normal = part.cast(self.camera.eye[:, None], self.rays[:, pixels])
        hit = np.isfinite(distance)
        seen = np.flatnonzero(hit & (distance < self.depth[pixels]))
        if stuff is not None:
            self.stuff[pixels[seen]] = stuff
        if part.cut is not None:
            seen = seen[part.cut(local[:, seen], normal[:, seen])]
        self.thing[pixels[seen]] = thing
        self._write(part, pixels[seen], distance[seen], local[:, seen], normal[:, seen])
        return pixels[hit]

    def _candidates(self, part: Part) -> Pixels:
        projected = self.camera.project(part.corners())
        if (projected[:, 2] < 0.2).any():
            return np.arange(self.rays.shape[1])
        return covered(projected[:, :2], width=self.camera.width, height=self.camera.height)

    def _write(
        self, part: Part, at: Pixels, distance: Scalars, local: Vectors, normal: Vectors
    ) -> None:
        sun = part.turn.T @ self.light.to_sun
        up = part.turn.T @ np.array([0, 0, 1], np.float32)
        self.depth[at] = distance
        self.albedo[:, at] = part.paint(local, normal)
        self.to_sun[at] = np.maximum(
            sun[0] * normal[0] + sun[1] * normal[1] + sun[2] * normal[2], 0
        )
        self.to_sky[at] = 0.62 + 0.38 * (up[0] * normal[0] + up[1] * normal[1] + up[2] * normal[2])
        self.floor[at] = False

    def positions(self, pixels: Pixels) -> Vectors:
        """Return the (3, N) points in the world that the pixels show."""
        found: Vectors = self.camera.eye[:, None] + self.depth[pixels] * self.rays[:, pixels]
        return found


class SunMap:
    """A shadow map: the surface nearest to the sun, on a grid perpendicular to its rays."""

    def __init__(self, to_sun: Points) -> None:
        side = np.cross(to_sun, np.array([0, 0, 1])).astype(np.float32)
        side /= np.float32(np.linalg.norm(side))
        self.axes: Matrix = np.stack([side, np.cross(side, to_sun), to_sun]).astype(np.float32)
        self.front = np.full(SUN_CELLS * SUN_CELLS, -100, np.float32)

    def add(self, part: Part) -> None:
        """Add the shadow of a part."""
        flat = (part.corners() - CENTRE) @ self.axes[:2].T / SUN_CELL + SUN_CELLS / 2
        cells = covered(flat, width=SUN_CELLS, height=SUN_CELLS)
        grid = np.stack([cells % SUN_CELLS, cells // SUN_CELLS]) + 0.5 - SUN_CELLS / 2
        across, along, sun = self.axes[:, :, None]
        origin = CENTRE[:, None] + (across * grid[0] + along * grid[1]) * SUN_CELL + 60 * sun
        distance, _, _ = part.cast(origin.astype(np.float32), -sun)
        self.front[cells] = np.maximum(self.front[cells], 60 - distance)

    def lit(self, positions: Vectors, jitter: NDArray[np.float32]) -> Bools:
        """Return which of (3, N) positions are sunlit; `jitter` (2, N), in cells, softens edges."""
        x, y, z = positions - CENTRE[:, None]
        across, along, depth = (axis[0] * x + axis[1] * y + axis[2] * z for axis in self.axes)
        column = (across / SUN_CELL + SUN_CELLS / 2 + jitter[0]).astype(np.int32)
        row = (along / SUN_CELL + SUN_CELLS / 2 + jitter[1]).astype(np.int32)
        inside = (column >= 0) & (column < SUN_CELLS) & (row >= 0) & (row < SUN_CELLS)
        cell = np.where(inside, row * SUN_CELLS + column, 0)
        lit: Bools = ~inside | (depth + 0.09 > self.front[cell])
        return lit


def contact_plan(parts: Sequence[Part]) -> NDArray[np.float32]:
    """Return the fraction of the sky hidden by parts on the ground, as a (cells, cells) map."""
    plan = np.zeros((FLOOR_CELLS, FLOOR_CELLS), np.uint8)
    for part in parts:
        corners = part.corners()
        if corners[:, 2].min() < 0.45:
            cells = (corners[:, :2] - CENTRE[:2]) / FLOOR_CELL + FLOOR_CELLS / 2
            cv2.fillConvexPoly(plan, cv2.convexHull(cells.round().astype(np.int32)), 255)
    near = cv2.GaussianBlur(plan, (0, 0), 1.6).astype(np.float32)
    wide = cv2.GaussianBlur(plan, (0, 0), 5).astype(np.float32)
    share: NDArray[np.float32] = (0.55 * near + 0.45 * wide) / 255
    return share


def shade(canvas: Canvas, parts: Sequence[Part], rng: np.random.Generator) -> Image:
    """Light the canvas and return its image; pixels without depth, the sky, keep their colour."""
    light, pixels = canvas.light, np.flatnonzero(np.isfinite(canvas.depth))
    positions = canvas.positions(pixels)
    sun_map = SunMap(light.to_sun)
    for part in parts:
        if part.shadow:
            sun_map.add(part)
    jitter = rng.random((2, len(pixels)), dtype=np.float32) * 1.6 - 0.8
    sun = canvas.to_sun[pixels] * sun_map.lit(positions, jitter)
    sky = canvas.to_sky[pixels] * _openness(canvas, pixels, positions, contact_plan(parts))
    haze = 1 - np.exp(-np.maximum(canvas.depth[pixels] - 8, 0) / 160)
    linear = canvas.albedo.copy()
    for i in range(3):
        lit = canvas.albedo[i, pixels] * (light.sun[i] * sun + light.sky[i] * sky)
        linear[i, pixels] = lit + (light.horizon[i] - lit) * haze
    frame = linear.reshape(3, canvas.camera.height, canvas.camera.width)
    return np.ascontiguousarray(frame.transpose(1, 2, 0))


def _openness(
    canvas: Canvas, pixels: Pixels, positions: Vectors, plan: NDArray[np.float32]
) -> Scalars:
    """Return the fraction of the sky that lights each pixel, which is low close to solids."""
    cells = ((positions[:2] - CENTRE[:2, None]) / FLOOR_CELL + FLOOR_CELLS / 2).astype(np.int32)
    np.clip(cells, 0, FLOOR_CELLS - 1, out=cells)
    floor = 1 - 0.85 * plan[cells[1], cells[0]]
    standing = 1 - 0.45 * np.exp(-np.maximum(positions[2], 0) / 0.22)
    return np.where(canvas.floor[pixels], floor, standing)
