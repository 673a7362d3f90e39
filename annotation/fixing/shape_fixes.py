"""Fixes of one shape, which hardly change the area that it covers.

In a figure of eight, conversion paints both halves, and the fixed shape covers the same halves: no
pixel would change, although the outline is certainly a mistake. Therefore, the area of the outline
as drawn counts too.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from annotation.dataset import DatasetConfig, Limits
from annotation.labelme.annotation import Shape, UnreadableShape
from annotation.labelme.geometry import mask_pixels, outline
from annotation.labelme.masks import encode_mask_png
from annotation.photos.files import Size
from annotation.rules.crossings import is_tangled, outline_faces

MOST_CHANGE = 0.01  # share of the fixed area
OUTSIDE = "no part of it is inside the photo"
Points = tuple[tuple[float, float], ...]


class NotFixedError(Exception):
    """A fix that would not be safe; the message tells the person who has to decide why."""


@dataclass(frozen=True)
class Replacement:
    """The shapes that replace one shape, and a description of the fix."""

    shapes: tuple[Shape, ...]
    what: str


def unused_group_id(shapes: Iterable[Shape]) -> int:
    """Return a group_id that no shape of the photo has, including unreadable shapes."""
    ids = []
    for shape in shapes:
        group_id = shape.group_id
        if isinstance(shape, UnreadableShape) and isinstance(shape.raw, dict):
            group_id = shape.raw.get("group_id")
        if isinstance(group_id, int):
            ids.append(group_id)
    return max(ids, default=0) + 1


def fix_label(shape: Shape, labels: Sequence[str]) -> Replacement:
    """Change a label to the known label that differs only in case and separators.

    Raises NotFixedError unless there is exactly one.
    """
    same = [label for label in labels if normalized_label(label) == normalized_label(shape.label)]
    if len(same) != 1:
        raise NotFixedError("differs in more than case and separators; correct it in Labelme")
    return Replacement((replace(shape, label=same[0]),), f"'{shape.label}' is now '{same[0]}'")


def normalized_label(label: str) -> str:
    """Return a label in lower case and with one kind of separator."""
    folded = unicodedata.normalize("NFKC", label).casefold()
    return re.sub(r"[\s_-]+", "-", folded.strip())


def drop_repeated_points(shape: Shape, limits: Limits) -> Replacement:
    """Remove the vertices of a polygon that repeat the previous vertex.

    Raises NotFixedError for other shapes, and if the outline would change.
    """
    if shape.shape_type != "polygon":
        raise NotFixedError(f"a {shape.shape_type} needs all its corners; draw it again")
    kept = _without_repeated(shape.points, limits.repeated_distance)
    if len(kept) < 3:
        raise NotFixedError("fewer than 3 vertices would remain; draw it again")
    before, after = shapely.Polygon(shape.points), shapely.Polygon(kept)
    changed = abs(before.area - after.area) >= MOST_CHANGE * after.area
    if changed or (before.is_valid and not after.is_valid):
        raise NotFixedError("the outline would change; remove the vertices in Labelme")
    what = f"{len(shape.points) - len(kept)} of {len(shape.points)} vertices removed"
    return Replacement((replace(shape, points=kept),), what)


def _without_repeated(points: Sequence[tuple[float, float]], distance: float) -> Points:
    """Keep the vertices of a ring that are farther than `distance` from the last one kept."""
    kept = [points[0]]
    for point in points[1:]:
        if math.dist(point, kept[-1]) > distance:
            kept.append(point)
    while len(kept) > 1 and math.dist(kept[-1], kept[0]) <= distance:
        kept.pop()
    return tuple(kept)


def fix_crossing(shape: Shape, config: DatasetConfig, group: int) -> Replacement:
    """Replace a polygon that crosses itself with the area it encloses, as parts and holes.

    Several shapes share the group_id `group`. Raises NotFixedError for other shapes, and if the
    enclosed area is ambiguous.
    """
    if shape.shape_type != "polygon":
        raise NotFixedError(f"the corners of a {shape.shape_type} are out of order; draw it again")
    area = _enclosed_area(shape, config)
    shapes = _as_shapes(area, shape, config, group)
    return Replacement(shapes, f"crossings removed{_shape_count(shapes)}")


def _enclosed_area(shape: Shape, config: DatasetConfig) -> BaseGeometry:
    """Return the area that an outline encloses at least once, without tiny parts and holes.

    In the area as drawn, loops that run backwards count as negative; when painted, regions that
    the outline encloses twice are left out. Raises NotFixedError unless these three areas nearly
    agree.
    """
    drawn = shapely.Polygon(outline(shape))
    if drawn.is_valid:
        return drawn
    if is_tangled(drawn):
        raise NotFixedError("the outline crosses itself too often; draw it again")
    faces = outline_faces(drawn)
    area = _without_tiny_parts(faces.enclosed(), config.limits.tiny_area)
    if area.is_empty:
        raise NotFixedError("the outline encloses no area; draw it again")
    try:
        painted = faces.painted()
        lost = shapely.symmetric_difference(painted, area).area
    except shapely.GEOSException as error:
        raise NotFixedError(f"the crossings cannot be removed: {error}") from None
    change = max(abs(drawn.area - area.area), lost) / area.area
    if change >= MOST_CHANGE:
        fix = "move the crossing vertices apart"
        raise NotFixedError(f"a fix would change the area by {min(change, 1):.0%}; {fix}")
    return area


def _polygons(area: BaseGeometry) -> list[shapely.Polygon]:
    """Return the polygons in a geometry, without the lines and points that operations leave."""
    parts = shapely.get_parts(shapely.get_parts(area))
    return [part for part in parts.tolist() if isinstance(part, shapely.Polygon) and part.area > 0]


def _without_tiny_parts(area: BaseGeometry, least: float) -> BaseGeometry:
    """Remove parts and holes below `least` square pixels, unless the area would change too much."""
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
    """Convert an area to polygons like `shape`, largest first, and holes; group several shapes."""
    parts = sorted(_polygons(area), key=lambda part: -part.area)
    rings = [ring for part in parts for ring in part.interiors]
    is_hole = shape.label in config.holes
    if len(parts) > 1 and shape.label in config.ungrouped:
        raise NotFixedError(f"would become {len(parts)} parts; a '{shape.label}' may have only one")
    if rings and (is_hole or not config.holes or shape.group_id is not None):
        raise NotFixedError("the new hole could also cut other shapes; draw it again")
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
    """Return the vertices of a ring, without those that nearly repeat the previous one."""
    points = tuple((float(x), float(y)) for x, y, *_ in ring.coords[:-1])
    kept = _without_repeated(points, distance)
    return kept if len(kept) > 2 and shapely.Polygon(kept).is_valid else points


def _shape_count(shapes: Collection[Shape]) -> str:
    if len(shapes) == 1:
        return ""
    groups = {shape.group_id for shape in shapes} - {None}
    return f", now {len(shapes)} shapes" + "".join(f" of group {group}" for group in groups)


def clip_to_photo(shape: Shape, config: DatasetConfig, group: int, size: Size) -> Replacement:
    """Clip a polygon, rectangle or mask to a photo of `size` (height, width).

    Nothing is left of a polygon outside the photo. Raises NotFixedError for other shapes.
    """
    height, width = size
    if shape.shape_type == "polygon":
        area = _enclosed_area(shape, config)
        inside = shapely.intersection(area, shapely.box(0, 0, width, height))
        inside = _without_tiny_parts(inside, config.limits.tiny_area)
        shapes = _as_shapes(inside, shape, config, group)
    elif shape.shape_type == "rectangle":
        shapes = (_clipped_rectangle(shape, size),)
    elif shape.shape_type == "mask":
        shapes = (_clipped_mask(shape, size),)
    else:
        raise NotFixedError(f"a {shape.shape_type} cannot be clipped; conversion clips its pixels")
    return Replacement(shapes, f"clipped to the {width}x{height} photo{_shape_count(shapes)}")


def _clipped_rectangle(shape: Shape, size: Size) -> Shape:
    corners = outline(shape)
    if any(len(set(corners[:, axis].tolist())) != 2 for axis in (0, 1)):
        raise NotFixedError("a rotated rectangle cannot be clipped; conversion clips its pixels")
    height, width = size
    points = tuple((min(max(x, 0.0), width), min(max(y, 0.0), height)) for x, y in shape.points)
    if any(len({point[axis] for point in points}) != 2 for axis in (0, 1)):
        raise NotFixedError(OUTSIDE)
    return replace(shape, points=points)


def _clipped_mask(shape: Shape, size: Size) -> Shape:
    """Crop a mask; a second point keeps its offset from the lower right corner."""
    pixels, (x, y) = mask_pixels(shape, size)
    (h, w), (height, width) = pixels.shape, size
    left, top = max(0, -x), max(0, -y)
    inside = pixels[top : max(0, height - y), left : max(0, width - x)]
    if not inside.any():
        raise NotFixedError(OUTSIDE)
    first = (float(x + left), float(y + top))
    if len(shape.points) == 1:
        points: Points = (first,)
    else:
        offset = np.array(shape.points[1]) - (x + w, y + h)
        end_x, end_y = (np.array(first) + inside.shape[::-1] + offset).tolist()
        points = (first, (end_x, end_y))
    return replace(shape, points=points, mask=encode_mask_png(np.ascontiguousarray(inside)))
