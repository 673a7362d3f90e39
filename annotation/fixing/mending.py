"""Safe repairs of one shape: what it covers hardly changes, or it is left to a person.

Change is measured in shapely's areas. Pixels cannot tell: pycocotools paints what a crossed
outline encloses an odd number of times, and so both halves of a figure of eight, as mending leaves
them. It would count as no change, though nobody meant to draw it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from annotation.dataset import DatasetConfig, Limits
from annotation.labelme.annotation import Annotation, Shape, UnreadableShape
from annotation.labelme.geometry import encode_mask_png, mask_pixels, outline
from annotation.photos.files import Size
from annotation.rules.drawing import draw
from annotation.rules.measures import measure

MOST_CHANGE = 0.01  # of the mended area
Points = tuple[tuple[float, float], ...]


class LeftError(Exception):
    """Why something is left as it is, for a person to look at."""


@dataclass(frozen=True)
class Mended:
    """What takes the place of one shape, and what was done, in words."""

    shapes: tuple[Shape, ...]
    what: str


def free_group(shapes: Iterable[Shape]) -> int:
    """A group_id that no shape of the photo has."""
    shapes = list(shapes)
    raw = (shape.raw for shape in shapes if isinstance(shape, UnreadableShape))
    unread = (value.get("group_id") for value in raw if isinstance(value, dict))
    ids = [*(shape.group_id for shape in shapes), *unread]
    return max((one for one in ids if isinstance(one, int)), default=0) + 1


def mend_label(shape: Shape, labels: Sequence[str]) -> Mended:
    """The known label that differs by case and the kind of separator only."""
    alike = [label for label in labels if plain_label(label) == plain_label(shape.label)]
    if len(alike) != 1:
        raise LeftError("is more than another case or separator; correct it in Labelme")
    return Mended((replace(shape, label=alike[0]),), f"'{shape.label}' is now '{alike[0]}'")


def plain_label(label: str) -> str:
    """A label without case, and with one kind of separator."""
    folded = unicodedata.normalize("NFKC", label).casefold()
    return re.sub(r"[\s_-]+", "-", folded.strip())


def drop_repeated(shape: Shape, limits: Limits) -> Mended:
    """A polygon without the vertices that repeat the one before them."""
    if shape.shape_type != "polygon":
        raise LeftError(f"this {shape.shape_type} needs all its corners; draw it again")
    kept = _spaced(shape.points, limits.repeated_distance)
    if len(kept) < 3:
        raise LeftError("too few vertices would be left; draw it again")
    before, after = shapely.Polygon(shape.points), shapely.Polygon(kept)
    changed = abs(before.area - after.area) >= MOST_CHANGE * after.area
    if changed or (before.is_valid and not after.is_valid):
        raise LeftError("the outline would change; remove the vertices in Labelme")
    what = f"{len(shape.points) - len(kept)} of {len(shape.points)} vertices dropped"
    return Mended((replace(shape, points=kept),), what)


def _spaced(points: Sequence[tuple[float, float]], distance: float) -> Points:
    """The vertices of a ring that lie farther than `distance` from the one kept before."""
    kept = [points[0]]
    for point in points[1:]:
        if math.dist(point, kept[-1]) > distance:
            kept.append(point)
    while len(kept) > 1 and math.dist(kept[-1], kept[0]) <= distance:
        kept.pop()
    return tuple(kept)


def mend_crossing(shape: Shape, config: DatasetConfig, group: int) -> Mended:
    """A polygon that crosses itself as the area it encloses; parts and holes share `group`."""
    if shape.shape_type != "polygon":
        raise LeftError(f"the corners of this {shape.shape_type} are out of order; draw it again")
    area = _valid(shape, config)
    shapes = _as_shapes(area, shape, config, group)
    return Mended(shapes, f"crossings mended{_counted(shapes)}")


def _valid(shape: Shape, config: DatasetConfig) -> BaseGeometry:
    """What an outline encloses once or more, but for specks; LeftError where that is unclear.

    Loops that run backwards count as negative in the area as drawn, regions that the outline goes
    around twice are left out where it is painted: it has to be nearly the same either way.
    """
    drawn = shapely.Polygon(outline(shape))
    if drawn.is_valid:
        return drawn
    drawing = draw(Path(), Annotation("", None, None, (shape,)), None, None, config)
    enclosed = measure(drawing).figures[0]
    if enclosed.is_empty:
        raise LeftError("the outline is a scribble; draw it again")
    area = _without_specks(enclosed, config.limits.tiny_area)
    try:
        painted = shapely.union_all(_polygons(shapely.make_valid(drawn)))
        lost = shapely.symmetric_difference(painted, area).area
    except shapely.GEOSException as error:
        raise LeftError(f"cannot be mended: {error}") from None
    change = max(abs(drawn.area - area.area), lost) / area.area
    if change >= MOST_CHANGE:
        fix = "move the crossing vertices apart"
        raise LeftError(f"mending would change its area by {min(change, 1):.0%}; {fix}")
    return area


def _polygons(area: BaseGeometry) -> list[shapely.Polygon]:
    """The polygons in a geometry, without the lines and points that operations leave over."""
    parts = shapely.get_parts(shapely.get_parts(area))
    return [part for part in parts.tolist() if isinstance(part, shapely.Polygon) and part.area > 0]


def _without_specks(area: BaseGeometry, least: float) -> BaseGeometry:
    """The area without parts and holes below `least` square pixels, where that changes little."""
    polygons = _polygons(area)
    large = [part for part in polygons if part.area >= least]
    filled = [
        shapely.Polygon(
            part.exterior, [h for h in part.interiors if shapely.Polygon(h).area >= least]
        )
        for part in large
    ]
    tidied, whole = shapely.MultiPolygon(filled), shapely.MultiPolygon(polygons)
    changed = sum(p.area for p in polygons) - sum(p.area for p in large)
    changed += sum(f.area - p.area for f, p in zip(filled, large, strict=True))
    return tidied if changed < MOST_CHANGE * tidied.area else whole


def _as_shapes(
    area: BaseGeometry, shape: Shape, config: DatasetConfig, group: int
) -> tuple[Shape, ...]:
    """An area as polygons like `shape`, largest first, and holes; several of them are a group."""
    parts = sorted(_polygons(area), key=lambda part: -part.area)
    rings = [ring for part in parts for ring in part.interiors]
    is_hole = shape.label in config.holes
    if len(parts) > 1 and shape.label in config.ungrouped:
        raise LeftError(f"it would become {len(parts)} parts, but '{shape.label}' has one only")
    if rings and (is_hole or not config.holes or shape.group_id is not None):
        raise LeftError("a hole would arise that could cut other shapes; draw it again")
    several = len(parts) + len(rings) > 1 and not is_hole
    group_id = group if several and shape.group_id is None else shape.group_id
    distance = config.limits.repeated_distance
    own = [
        replace(shape, points=_corners(part.exterior, distance), group_id=group_id)
        for part in parts
    ]
    holes = [
        Shape(config.holes[0], _corners(ring, distance), "polygon", group_id) for ring in rings
    ]
    return (*own, *holes)


def _corners(ring: shapely.LinearRing, distance: float) -> Points:
    """Vertices of a ring, but for those that new corners nearly repeat."""
    points = tuple((float(x), float(y)) for x, y, *_ in ring.coords[:-1])
    spaced = _spaced(points, distance)
    return spaced if len(spaced) > 2 and shapely.Polygon(spaced).is_valid else points


def _counted(shapes: Collection[Shape]) -> str:
    if len(shapes) == 1:
        return ""
    groups = {shape.group_id for shape in shapes} - {None}
    return f", now {len(shapes)} shapes" + "".join(f" of group {group}" for group in groups)


def clip(shape: Shape, config: DatasetConfig, group: int, size: Size) -> Mended:
    """The part of a polygon, rectangle or mask in a picture of `size` (height, width).

    A polygon that lies outside leaves no shape.
    """
    height, width = size
    if shape.shape_type == "polygon":
        area = _valid(shape, config)
        inside = shapely.intersection(area, shapely.box(0, 0, width, height))
        shapes = _as_shapes(_without_specks(inside, config.limits.tiny_area), shape, config, group)
    elif shape.shape_type == "rectangle":
        shapes = (_clipped_rectangle(shape, size),)
    elif shape.shape_type == "mask":
        shapes = (_clipped_mask(shape, size),)
    else:
        raise LeftError(f"this {shape.shape_type} keeps its form; painting clips it")
    return Mended(shapes, f"clipped to the {width}x{height} picture{_counted(shapes)}")


def _clipped_rectangle(shape: Shape, size: Size) -> Shape:
    corners = outline(shape)
    if any(len(set(corners[:, axis].tolist())) != 2 for axis in (0, 1)):
        raise LeftError("a turned rectangle keeps its form; painting clips it")
    height, width = size
    points = tuple((min(max(x, 0.0), width), min(max(y, 0.0), height)) for x, y in shape.points)
    if any(len({point[axis] for point in points}) != 2 for axis in (0, 1)):
        raise LeftError("nothing of it lies in the picture")
    return replace(shape, points=points)


def _clipped_mask(shape: Shape, size: Size) -> Shape:
    """The mask cropped; a second point keeps its distance from the lower right corner."""
    pixels, (x, y) = mask_pixels(shape)
    (h, w), (height, width) = pixels.shape, size
    left, top = max(0, -x), max(0, -y)
    inside = pixels[top : max(0, height - y), left : max(0, width - x)]
    if not inside.any():
        raise LeftError("nothing of it lies in the picture")
    first = (float(x + left), float(y + top))
    if len(shape.points) == 1:
        points: Points = (first,)
    else:
        beside = np.array(shape.points[1]) - (x + w, y + h)
        end_x, end_y = (np.array(first) + inside.shape[::-1] + beside).tolist()
        points = (first, (end_x, end_y))
    return replace(shape, points=points, mask=encode_mask_png(np.ascontiguousarray(inside)))
