"""The health of a set as one self-contained HTML page with a map of places per category."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from base.counting import counted
from base.files import write_bytes
from base.html import read_template
from conversion.health.survey import CategoryHealth, Health, Places
from conversion.health.text import health_facts

TEMPLATE = Path(__file__).with_name("health.html.j2")
_CELL = 8  # pixels of a picture per cell of a map


@dataclass(frozen=True)
class Card:
    """A category, or all things, with the picture of its places as a data URI."""

    title: str
    note: str
    picture: str


def write_health(path: Path, health: Health, *, name: str) -> None:
    """Write the health of the set `name` to one HTML file."""
    html = read_template(TEMPLATE).render(
        name=name,
        facts=list(health_facts(health)),
        splits=list(health.photos),
        categories=health.categories,
        cards=list(_cards(health)),
    )
    write_bytes(path, html.encode())


def _cards(health: Health) -> Iterator[Card]:
    yield Card("all things", "", _picture(health.thing_places))
    for one in sorted(health.categories, key=lambda c: -sum(c.photos.values())):
        if sum(one.photos.values()):
            yield Card(one.category.name, _note(one), _picture(one.places))


def _note(one: CategoryHealth) -> str:
    photos = counted(sum(one.photos.values()), "photo")
    return f"in {photos}; brightest place: {one.places.max():.0%} of all"


def _picture(places: Places) -> str:
    """Draw (R, C) values, the highest brightest, as the data URI of a PNG."""
    top = places.max()
    shades = np.uint8(np.round(places / top * 255)) if top else np.zeros(places.shape, np.uint8)
    large = cv2.resize(shades, None, fx=_CELL, fy=_CELL, interpolation=cv2.INTER_NEAREST)
    png = cv2.imencode(".png", cv2.applyColorMap(large, cv2.COLORMAP_VIRIDIS))[1]
    return f"data:image/png;base64,{base64.b64encode(png.tobytes()).decode()}"
