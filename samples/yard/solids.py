"""Solids and their intersections with rays.

Lengths are in metres; x points right, y away from the camera, z up. Vectors are (3, N) float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.floating[Any]]  # (3, N), or (3, 1) if all rays share one
Scalars = NDArray[np.floating[Any]]  # (N,)
Bools = NDArray[np.bool_]  # (N,)
Matrix = NDArray[np.floating[Any]]  # (3, 3)
Points = NDArray[np.floating[Any]]  # (K, 3)
Paint = Callable[[Vectors, Vectors], Vectors]  # local positions, local normals -> linear RGB
Cut = Callable[[Vectors, Vectors], Bools]  # local positions, local normals -> False in holes

UPRIGHT: Matrix = np.eye(3, dtype=np.float32)
NEAR = 0.05  # metres; nearer hits are ignored
INFINITE = np.float32(np.inf)


@dataclass(frozen=True)
class Box:
    """A cuboid from corner `low` to corner `high`."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]

    def corners(self) -> Points:
        return np.array(
            [[x, y, z] for x in self._ends(0) for y in self._ends(1) for z in self._ends(2)],
            np.float32,
        )

    def _ends(self, axis: int) -> tuple[float, float]:
        return self.low[axis], self.high[axis]

    def cast(self, origin: Vectors, ray: Vectors) -> tuple[Scalars, Vectors]:
        """Return the distance along each ray, inf if it misses, and the normals where they hit."""
        enter, leave = -INFINITE, INFINITE
        axis: NDArray[np.int8] | np.int8 = np.int8(0)
        for i in range(3):
            at_low = (np.float32(self.low[i]) - origin[i]) / ray[i]
            at_high = (np.float32(self.high[i]) - origin[i]) / ray[i]
            first = np.minimum(at_low, at_high)
            axis = np.where(first > enter, np.int8(i), axis)
            enter = np.maximum(enter, first)
            leave = np.minimum(leave, np.maximum(at_low, at_high))
        distance = np.where((enter < leave) & (enter > NEAR), enter, INFINITE)
        normal = np.stack([np.where(axis == i, -np.sign(ray[i]), 0) for i in range(3)])
        return distance, normal.astype(np.float32)


@dataclass(frozen=True)
class Prism:
    """A convex profile (x, z), counter-clockwise seen from -y, extruded from y `low` to `high`."""

    profile: tuple[tuple[float, float], ...]
    low: float
    high: float

    def corners(self) -> Points:
        return np.array([[x, y, z] for x, z in self.profile for y in (self.low, self.high)], "f4")

    def _planes(self) -> list[tuple[Points, float]]:
        planes = [(np.array([0, -1, 0], "f4"), -self.low), (np.array([0, 1, 0], "f4"), self.high)]
        ends = [*self.profile[1:], self.profile[0]]
        for (x0, z0), (x1, z1) in zip(self.profile, ends, strict=True):
            length = float(np.hypot(x1 - x0, z1 - z0))
            normal = np.array([(z1 - z0) / length, 0, -(x1 - x0) / length], "f4")
            planes.append((normal, float(normal[0] * x0 + normal[2] * z0)))
        return planes

    def cast(self, origin: Vectors, ray: Vectors) -> tuple[Scalars, Vectors]:
        """Return the distance along each ray, inf if it misses, and the normals where they hit."""
        shape = np.broadcast_shapes(origin.shape, ray.shape)
        enter = np.full(shape[1], -INFINITE)
        leave = np.full(shape[1], INFINITE)
        normal = np.zeros(shape, np.float32)
        for (a, b, c), offset in self._planes():
            speed = a * ray[0] + b * ray[1] + c * ray[2]
            at = (np.float32(offset) - (a * origin[0] + b * origin[1] + c * origin[2])) / speed
            first = (speed < 0) & (at > enter)
            enter = np.where(first, at, enter)
            normal[:, first] = np.array([[a], [b], [c]], "f4")
            leave = np.minimum(leave, np.where(speed < 0, INFINITE, at))
        return np.where((enter < leave) & (enter > NEAR), enter, INFINITE), normal


@dataclass(frozen=True)
class Round:
    """A cylinder or cone along z from 0 to `height`, with the radii `foot` and `top` at its ends.

    `bore` > 0 makes it a pipe: it is the fraction of the radius that is open at both ends.
    """

    foot: float
    top: float
    height: float
    bore: float = 0.0

    def corners(self) -> Points:
        angles = np.arange(8) * (np.pi / 4)
        ring = np.stack([np.cos(angles), np.sin(angles)], 1) * 1.083
        ends = ((self.foot, 0.0), (self.top, self.height))
        return np.concatenate([np.c_[ring * r, np.full(8, z)] for r, z in ends]).astype("f4")

    def cast(self, origin: Vectors, ray: Vectors) -> tuple[Scalars, Vectors]:
        """Return the distance along each ray, inf if it misses, and the normals where they hit."""
        slope = np.float32((self.top - self.foot) / self.height)
        options = [*self._sides(origin, ray, slope), *self._caps(origin, ray)]
        distance = options[0]
        for option in options[1:]:
            distance = np.minimum(distance, option)
        finite = np.where(np.isfinite(distance), distance, 0)
        x, y, z = (origin[i] + finite * ray[i] for i in range(3))
        flat = (distance == options[2]) | (distance == options[3])
        steep = np.sqrt(1 + slope**2) * np.maximum(np.hypot(x, y), 1e-6)
        normal = np.stack([x / steep, y / steep, -slope / np.sqrt(1 + slope**2) + 0 * z])
        inner = (normal * ray).sum(0) > 0
        normal = np.where(inner, -normal, normal)
        cap = np.stack([0 * x, 0 * x, np.where(z > self.height / 2, 1, -1)])
        return distance, np.where(flat, cap, normal).astype(np.float32)

    def _sides(self, origin: Vectors, ray: Vectors, slope: np.float32) -> list[Scalars]:
        rim = np.float32(self.foot) + slope * origin[2]
        a = ray[0] ** 2 + ray[1] ** 2 - (slope * ray[2]) ** 2
        b = origin[0] * ray[0] + origin[1] * ray[1] - slope * rim * ray[2]
        c = origin[0] ** 2 + origin[1] ** 2 - rim**2
        root = np.sqrt(np.maximum(b * b - a * c, 0))
        hit = b * b - a * c > 0
        found = []
        for distance in ((-b - root) / a, (-b + root) / a):
            z = origin[2] + distance * ray[2]
            good = hit & (z > 0) & (z < self.height) & (distance > NEAR)
            found.append(np.where(good, distance, INFINITE))
        return found

    def _caps(self, origin: Vectors, ray: Vectors) -> list[Scalars]:
        found = []
        for z, radius in ((0.0, self.foot), (self.height, self.top)):
            distance = (np.float32(z) - origin[2]) / ray[2]
            x, y = origin[0] + distance * ray[0], origin[1] + distance * ray[1]
            off = np.hypot(x, y)
            good = (off < radius) & (off >= self.bore * radius) & (distance > NEAR)
            found.append(np.where(good, distance, INFINITE))
        return found


@dataclass(frozen=True)
class Ball:
    """An ellipsoid around the origin with three radii."""

    radii: tuple[float, float, float]

    def corners(self) -> Points:
        x, y, z = self.radii
        return Box((-x, -y, -z), (x, y, z)).corners()

    def cast(self, origin: Vectors, ray: Vectors) -> tuple[Scalars, Vectors]:
        """Return the distance along each ray, inf if it misses, and the normals where they hit."""
        radii = np.array(self.radii, np.float32)[:, None]
        o, d = origin / radii, ray / radii
        a, b, c = (d * d).sum(0), (o * d).sum(0), (o * o).sum(0) - 1
        inner = b * b - a * c
        distance = (-b - np.sqrt(np.maximum(inner, 0))) / a
        good = (inner > 0) & (distance > NEAR)
        normal = (o + np.where(good, distance, 0) * d) / radii
        normal /= np.sqrt((normal * normal).sum(0)) + np.float32(1e-9)
        return np.where(good, distance, INFINITE), normal


Body = Box | Prism | Round | Ball


@dataclass(frozen=True)
class Part:
    """A painted solid with its position in the world; `cut` makes holes, as in a wire fence."""

    body: Body
    paint: Paint
    turn: Matrix = field(default_factory=UPRIGHT.copy)
    at: tuple[float, float, float] = (0.0, 0.0, 0.0)
    cut: Cut | None = None
    shadow: bool = True

    def corners(self) -> Points:
        """Return (K, 3) points in the world whose convex hull contains the part."""
        points: Points = self.body.corners() @ self.turn.T + np.array(self.at, np.float32)
        return points

    def cast(self, origin: Vectors, ray: Vectors) -> tuple[Scalars, Vectors, Vectors]:
        """Return distances along the rays, then local positions and local normals."""
        at = np.array(self.at, np.float32)[:, None]
        o, d = turned(self.turn.T, origin - at), turned(self.turn.T, ray)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            distance, normal = self.body.cast(o, d)
            return distance, o + distance * d, normal


def turned(matrix: Matrix, vectors: Vectors) -> Vectors:
    """Multiply vectors by a matrix, without BLAS, whose results differ between machines."""
    x, y, z = vectors
    return np.stack([row[0] * x + row[1] * y + row[2] * z for row in matrix])


def moved(
    parts: Sequence[Part], *, turn: Matrix = UPRIGHT, at: tuple[float, float, float] = (0, 0, 0)
) -> list[Part]:
    """Rotate parts around the origin, then move them."""
    placed = []
    for part in parts:
        x, y, z = (turn @ np.array(part.at, np.float32) + np.array(at, np.float32)).tolist()
        placed.append(replace(part, turn=turn @ part.turn, at=(x, y, z)))
    return placed


def scaled(parts: Sequence[Part], scale: float) -> list[Part]:
    """Scale parts around the origin."""
    return [
        replace(part, body=_scaled(part.body, scale), at=(scale * x, scale * y, scale * z))
        for part in parts
        for x, y, z in [part.at]
    ]


def _scaled(body: Body, scale: float) -> Body:
    values = {
        item.name: (np.array(getattr(body, item.name)) * scale).tolist() for item in fields(body)
    }
    if isinstance(body, Round):
        values["bore"] = body.bore
    return replace(body, **values)


def spin(axis: str, angle: float) -> Matrix:
    """Return the rotation by `angle` radians around the axis "x", "y" or "z"."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix.astype(np.float32)
