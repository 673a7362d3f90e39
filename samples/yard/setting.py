"""The setting of a photo: the light, the camera, the back line of the yard and its ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from shapely.geometry import LineString
from shapely.geometry.base import BaseGeometry

from samples.yard.canvas import RGB, Camera, Light, make_camera
from samples.yard.ground import Ground, Track
from samples.yard.solids import moved, spin
from samples.yard.things import Parts

WIDTH, HEIGHT = 320, 240  # pixels of a photo


@dataclass(frozen=True)
class BackLine:
    """The line of walls and fences behind the yard: through (0, `distance`), rotated by `yaw`."""

    distance: float
    yaw: float

    def place(self, parts: Parts, *, along: float = 0, behind: float = 0) -> Parts:
        """Move parts to a position `along` the line and `behind` it, seen from the camera."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        at = (along * c - behind * s, self.distance + along * s + behind * c, 0)
        return moved(parts, turn=spin("z", self.yaw), at=at)

    def is_behind(self, footprint: BaseGeometry, *, gap: float) -> bool:
        """Return whether the line is behind all of a footprint, by more than `gap` metres."""
        c, s = 60 * np.cos(self.yaw), 60 * np.sin(self.yaw)
        line = LineString([(-c, self.distance - s), (c, self.distance + s)])
        return bool(
            footprint.distance(line) > gap and footprint.centroid.y < self.distance + 30 * abs(s)
        )


@dataclass(frozen=True)
class Weather:
    """A kind of light; colours are linear RGB."""

    elevation: tuple[float, float]  # of the sun, in degrees
    sun: RGB
    sky: RGB
    zenith: RGB
    horizon: RGB
    clouds: float  # 0 clear to 1 overcast
    exposure: float


NOON = Weather(
    elevation=(38, 62),
    sun=(3.1, 2.9, 2.6),
    sky=(0.62, 0.74, 0.95),
    zenith=(0.12, 0.27, 0.66),
    horizon=(0.62, 0.76, 0.95),
    clouds=0.3,
    exposure=0.62,
)
EVENING = Weather(
    elevation=(14, 26),
    sun=(3.4, 2.1, 1.1),
    sky=(0.5, 0.55, 0.72),
    zenith=(0.16, 0.28, 0.55),
    horizon=(1.1, 0.78, 0.5),
    clouds=0.35,
    exposure=0.66,
)
OVERCAST = Weather(
    elevation=(45, 65),
    sun=(0.35, 0.35, 0.34),
    sky=(1.5, 1.55, 1.62),
    zenith=(0.62, 0.66, 0.72),
    horizon=(0.95, 0.96, 0.98),
    clouds=0.85,
    exposure=0.66,
)
DUSK = Weather(
    elevation=(20, 35),
    sun=(0.5, 0.42, 0.5),
    sky=(0.5, 0.56, 0.75),
    zenith=(0.1, 0.15, 0.32),
    horizon=(0.55, 0.45, 0.5),
    clouds=0.5,
    exposure=0.72,
)


def choose_light(rng: np.random.Generator) -> Light:
    """Choose noon, evening, overcast or dusk light, with the sun behind or beside the camera."""
    index = int(rng.choice(4, p=[0.4, 0.25, 0.22, 0.13]))
    weather = (NOON, EVENING, OVERCAST, DUSK)[index]
    elevation = rng.uniform(*np.deg2rad(weather.elevation))
    azimuth = rng.uniform(-1.4, 1.4)
    to_sun = np.array(
        [
            np.sin(azimuth) * np.cos(elevation),
            -np.cos(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ],
        np.float32,
    )
    return Light(
        to_sun,
        weather.sun,
        weather.sky,
        weather.zenith,
        weather.horizon,
        clouds=float(np.clip(weather.clouds + rng.uniform(-0.25, 0.25), 0, 1)),
        exposure=weather.exposure * rng.uniform(0.85, 1.18),
    )


def choose_camera(rng: np.random.Generator, *, sampling: int) -> Camera:
    """Choose a camera at eye level or on a scaffold, with `sampling` rays per pixel and axis."""
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


def choose_ground(rng: np.random.Generator, line: BackLine) -> Ground:
    """Choose dirt, with pavement along the back line, on one side, around the camera or nowhere."""
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
        Track(
            offset=rng.uniform(-3, 3),
            heading=rng.uniform(-0.9, 0.9) + np.pi / 2 * (rng.random() < 0.6),
            bend=rng.uniform(-0.03, 0.03),
        )
        for _ in range(int(rng.integers(1, 4)))
    ]
    dirt = ("#a38560", "#8f7350", "#b09a78", "#9c8b74", "#a0714c", "#8d8478")[int(rng.integers(6))]
    slab = ("#a7a59e", "#97948c", "#b3aa9a", "#9d8f84")[int(rng.integers(4))]
    return Ground(
        dirt=dirt,
        slab=slab,
        slab_size=rng.uniform(0.6, 1.1),
        heading=heading,
        paved=paved,
        tracks=tuple(tracks),
        puddles=rng.uniform(0.2, 1.0),
        shift=rng.uniform(0, 99),
    )
