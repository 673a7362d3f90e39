"""Label errors of known kinds, planted into the Labelme files of a copy of a data set."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import shapely

from annotation.dataset import Dataset
from annotation.labelme.annotation import Annotation, Shape, read_annotation, write_annotation
from annotation.labelme.geometry import outline
from annotation.labelme.instances import find_instances

Plant = Literal["swapped", "removed", "moved", "loosened"]
PLANTS: tuple[Plant, ...] = get_args(Plant)
LEAST_AREA = 100  # square pixels of a shape that is changed; smaller ones are hardly visible
MOVE = (0.35, 0.6)  # of the side of a square with the shape's area
LOOSE = (1.5, 2.0)  # times the shape's area
XYWH = tuple[float, float, float, float]


@dataclass(frozen=True)
class PlantedError:
    """One wrong label; `boxes` are those of the shape before and, unless removed, after."""

    file_name: str
    plant: Plant
    label: str
    boxes: tuple[XYWH, ...]


@dataclass(frozen=True)
class _Place:
    path: Path
    file_name: str
    shape: int


def plant_errors(
    dataset: Dataset, number: int, *, seed: int, photos: Collection[str] | None = None
) -> list[PlantedError]:
    """Change `number` shapes of things, each kind equally often; return what was changed.

    Only polygons that are an instance of their own and large enough are changed, each once, in the
    `photos` given by file name, or in all.
    """
    dice = random.Random(seed)
    places = [p for p in _places(dataset) if photos is None or p.file_name in photos]
    chosen = dice.sample(places, number)
    planted: list[PlantedError] = []
    removed: dict[Path, list[int]] = {}
    for index, place in enumerate(chosen):
        plant = PLANTS[index % len(PLANTS)]
        annotation = read_annotation(place.path)
        shape = annotation.shapes[place.shape]
        if plant == "removed":
            removed.setdefault(place.path, []).append(place.shape)
            planted.append(PlantedError(place.file_name, plant, shape.label, (_box(shape),)))
            continue
        changed = _CHANGES[plant](shape, annotation, dataset.config.things, dice)
        shapes = list(annotation.shapes)
        shapes[place.shape] = changed
        write_annotation(place.path, replace(annotation, shapes=tuple(shapes)))
        boxes = (_box(shape), _box(changed))
        planted.append(PlantedError(place.file_name, plant, shape.label, boxes))
    for path, indices in removed.items():  # last, so that the indices above stay the same
        annotation = read_annotation(path)
        kept = tuple(s for i, s in enumerate(annotation.shapes) if i not in indices)
        write_annotation(path, replace(annotation, shapes=kept))
    return planted


def _places(dataset: Dataset) -> list[_Place]:
    found = []
    for path in dataset.annotations():
        annotation = read_annotation(path)
        photo = os.path.normpath(path.parent / annotation.image_path)
        file_name = os.path.relpath(photo, dataset.images)
        for instance in find_instances(annotation.shapes, dataset.config):
            shape = annotation.shapes[instance.parts[0]]
            alone = len(instance.parts) == 1 and not instance.holes and not instance.ignored
            if alone and shape.shape_type == "polygon":
                area = abs(shapely.Polygon(outline(shape)).area)
                if area >= LEAST_AREA:
                    found.append(_Place(path, file_name, instance.parts[0]))
    return found


def _box(shape: Shape) -> XYWH:
    points = outline(shape)
    (x0, y0), (x1, y1) = points.min(0).tolist(), points.max(0).tolist()
    return x0, y0, x1 - x0, y1 - y0


def _swapped(
    shape: Shape, annotation: Annotation, things: Sequence[str], dice: random.Random
) -> Shape:
    return replace(shape, label=dice.choice([label for label in things if label != shape.label]))


def _moved(
    shape: Shape, annotation: Annotation, things: Sequence[str], dice: random.Random
) -> Shape:
    """Move a shape in a random direction, but not out of the picture."""
    points = outline(shape)
    size = np.array([annotation.width, annotation.height])
    side = math.sqrt(abs(shapely.Polygon(points).area))
    moves = []
    for _ in range(100):
        angle, distance = dice.uniform(0, 2 * math.pi), side * dice.uniform(*MOVE)
        moved = points + distance * np.array([math.cos(angle), math.sin(angle)])
        moves.append(moved)
        if (moved >= 0).all() and (moved <= size).all():
            break
    clipped = moves[-1].clip(0, size)
    return replace(shape, points=tuple(map(tuple, clipped.tolist())))


def _loosened(
    shape: Shape, annotation: Annotation, things: Sequence[str], dice: random.Random
) -> Shape:
    """Draw a wide outline around a shape, as large as it can be within the picture."""
    polygon = shapely.Polygon(outline(shape)).buffer(0)
    wanted, low, high = dice.uniform(*LOOSE) * polygon.area, 0.0, 100.0
    for _ in range(20):
        middle = (low + high) / 2
        wide = polygon.buffer(middle, join_style="mitre")
        low, high = (middle, high) if wide.area < wanted else (low, middle)
    picture = shapely.box(0, 0, annotation.width or 0, annotation.height or 0)
    wide = polygon.buffer(high, join_style="mitre").simplify(1).intersection(picture)
    largest = max(shapely.get_parts(wide), key=lambda part: float(part.area))
    return replace(shape, points=tuple(largest.exterior.coords[:-1]))


_Change = Callable[[Shape, Annotation, Sequence[str], random.Random], Shape]
_CHANGES: dict[Plant, _Change] = {"swapped": _swapped, "moved": _moved, "loosened": _loosened}
