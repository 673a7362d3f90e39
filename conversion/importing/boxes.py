"""The corners of annotations that have only a box, including rotated boxes.

Other programs put the angle of a rotated box beside its bbox:

- CVAT and Datumaro: `attributes.rotation`, degrees, clockwise about the centre of the unrotated
  bbox (https://docs.cvat.ai/docs/manual/advanced/formats/format-coco/);
- detectron2: `bbox_mode` 4 with a bbox of centre x, centre y, width, height and degrees,
  counterclockwise (`BoxMode.XYWHA_ABS` in
  https://detectron2.readthedocs.io/en/latest/modules/structures.html).

Label Studio exports the upright box around a rotated one, and needs nothing. Other boxes of five
numbers are refused: MMRotate, for example, has three definitions of the angle, in radians.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from base.counting import counted
from base.errors import InputError

Points = tuple[tuple[float, float], ...]
_XYXY, _XYWH, _ROTATED = 0, 1, 4  # values of detectron2's `bbox_mode`
_ANGLES = ("rotation", "angle", "theta")  # keys whose meaning depends on the program


@dataclass(frozen=True)
class Box:
    """Two corners of an upright box, or four of a rotated one, in pixels.

    `unknown_angle` is True if there is an angle that has not been applied.
    """

    points: Points
    unknown_angle: bool = False

    @property
    def rotated(self) -> bool:
        return len(self.points) == 4


def read_box(numbers: Sequence[float] | None, values: Mapping[str, Any]) -> Box:
    """Return the box of an annotation, whose other values are in `values`.

    Raises InputError if it is missing, or if it can be read in several ways.
    """
    mode = values.get("bbox_mode", _XYWH)
    if numbers is not None and len(numbers) == 5 and mode == _ROTATED:
        x, y, width, height, angle = numbers
        return Box(_turned(x, y, width, height, -angle))
    if numbers is not None and len(numbers) == 5:
        raise InputError(
            "expected a bbox of 4 numbers, found 5; programs write rotated boxes in different ways:"
            " give their corners as segmentation"
        )
    if numbers is None or len(numbers) != 4:
        found = "none" if numbers is None else counted(len(numbers), "number")
        raise InputError(f"expected a segmentation, or a bbox of 4 numbers, found {found}")
    if mode not in (_XYXY, _XYWH):
        expected = "expected 0 or 1, or 4 with a bbox of 5 numbers"
        raise InputError(f"bbox_mode: {expected}, found {mode!r}")
    x, y, width, height = numbers
    if mode == _XYXY:
        width, height = width - x, height - y
    attributes = values.get("attributes")
    inner = attributes if isinstance(attributes, dict) else {}
    if angle := _number(inner.get("rotation")):
        return Box(_turned(x + width / 2, y + height / 2, width, height, angle))
    unknown = any(_number(holder.get(key)) for holder in (values, inner) for key in _ANGLES)
    return Box(((x, y), (x + width, y + height)), unknown)


def _number(value: Any) -> float:
    """Return a finite number, or 0 for other values."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) else 0.0


def _turned(x: float, y: float, width: float, height: float, degrees: float) -> Points:
    """Return the corners of a box around its centre x, y, turned clockwise as seen on screen."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    corners = ((-width, -height), (width, -height), (width, height), (-width, height))
    return tuple(
        (round(x + (dx * cos - dy * sin) / 2, 6), round(y + (dx * sin + dy * cos) / 2, 6))
        for dx, dy in corners
    )
