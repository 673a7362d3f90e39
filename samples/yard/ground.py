"""Sky and ground: the colours of all rays that hit no solid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samples.yard.canvas import Canvas
from samples.yard.paint import blend, hashed, noise, rgb
from samples.yard.solids import Bools, Scalars, Vectors
from samples.yard.stuff import DIRT, PAVEMENT, SKY


@dataclass(frozen=True)
class Track:
    """A pair of ruts that follow a parabola across the yard."""

    offset: float  # metres
    heading: float  # radians from x
    bend: float  # per metre


@dataclass(frozen=True)
class Ground:
    """Dirt with a paved strip."""

    dirt: str
    slab: str
    slab_size: float  # metres
    heading: float  # of the axis across the strip, radians from x
    paved: tuple[float, float]  # from and to, metres along that axis
    tracks: tuple[Track, ...]
    puddles: float  # 0 none to 1 many
    shift: float  # metres; shifts all noise, so that no two yards look the same


def paint_sky(canvas: Canvas, rng: np.random.Generator) -> None:
    """Fill the canvas with sky: a gradient to the horizon, and clouds that look flatter there."""
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
    """Draw the ground, before everything that stands on it."""
    fall = canvas.rays[2]
    pixels = np.flatnonzero(fall < -1e-3)
    canvas.depth[pixels] = -canvas.camera.eye[2] / fall[pixels]
    x, y, _ = canvas.positions(pixels)
    slabs = paved(ground, x, y)
    far = np.clip(canvas.depth[pixels] / 45, 0, 1)
    canvas.albedo[:, pixels] = _dirt(canvas, ground, x, y, far)
    paving = np.flatnonzero(slabs)
    canvas.albedo[:, pixels[paving]] = _slabs(ground, x[paving], y[paving])
    canvas.to_sun[pixels] = canvas.light.to_sun[2]
    canvas.to_sky[pixels] = 1
    canvas.floor[pixels] = True
    canvas.stuff[pixels] = np.where(slabs, PAVEMENT, DIRT)


def paved(ground: Ground, x: Scalars, y: Scalars) -> Bools:
    """Return which positions (x, y) on the ground are paved."""
    along = x * np.cos(ground.heading) + y * np.sin(ground.heading)
    low, high = ground.paved
    inside: Bools = (along > low) & (along < high)
    return inside


def _dirt(canvas: Canvas, ground: Ground, x: Scalars, y: Scalars, far: Scalars) -> Vectors:
    """Return the colour of dirt, with stones, ruts and puddles that reflect the sky."""
    s = ground.shift
    large = noise(x + s, y, cell=0.05, power=1.6)
    small = noise(x, y + s, cell=0.018, power=0.8)
    dry, wet = rgb(ground.dirt), rgb(ground.dirt) * np.array([[0.5], [0.47], [0.45]], np.float32)
    earth: Vectors = blend(dry, wet, np.clip(0.35 + 0.3 * large, 0, 1)) * (
        1 + 0.2 * small * (1 - far)
    )
    stone = noise(x + 3, y + s, cell=0.03, power=0.3) > 2.05
    earth = blend(earth, rgb("#b9b2a6"), stone * (0.6 * (1 - far)))
    for track in ground.tracks:
        earth = earth * (1 - _ruts(x, y, track, s))
    pool = np.clip((noise(x + 2 * s, y, cell=0.06, power=1.9) - 2.3 + ground.puddles) * 8, 0, 1)
    mirror = np.array(canvas.light.horizon, np.float32)[:, None] / 2.2
    return np.maximum(blend(earth, blend(wet * 0.8, mirror, 0.45 + 0 * x), pool * 0.85), 0)


def _ruts(x: Scalars, y: Scalars, track: Track, shift: float) -> Scalars:
    """Return the fraction of light that two tyre tracks absorb, with their tread."""
    cos, sin = np.cos(track.heading), np.sin(track.heading)
    along = x * cos + (y - 10) * sin
    across = -x * sin + (y - 10) * cos - track.offset + track.bend * along**2
    rut = np.maximum(1 - np.abs(np.abs(across) - 0.85) / 0.26, 0)
    tread = ((along * 3.1 + np.abs(np.abs(across) - 0.85) * 4) % 1 > 0.5) * 0.45 + 0.55
    wear = np.clip(0.8 + 0.5 * noise(along + shift, across, cell=0.05, power=1.5), 0, 1.2)
    return np.clip(0.5 * np.sqrt(rut) * tread * wear, 0, 0.7).astype(np.float32)


def _slabs(ground: Ground, x: Scalars, y: Scalars) -> Vectors:
    """Return the colour of slabs in running bond, with varying tints, joints, stains and sand."""
    c, s = np.cos(ground.heading), np.sin(ground.heading)
    u, v = x * c + y * s - ground.paved[0], -x * s + y * c
    row = np.floor(u / ground.slab_size).astype(np.int32)
    shifted = v / ground.slab_size + 0.5 * (row & 1)
    column = np.floor(shifted).astype(np.int32)
    edge = np.minimum(u / ground.slab_size - row, shifted - column) * ground.slab_size
    tint = 0.84 + 0.3 * hashed(row, column)
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
