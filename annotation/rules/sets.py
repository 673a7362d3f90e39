"""The set as a whole: what its categories have, and which things are unlike all others."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from annotation.dataset import DatasetConfig
from annotation.findings import Complaint
from annotation.labelme.instances import Instance
from annotation.rules.drawing import Drawing
from annotation.rules.judge import CHECKED
from annotation.rules.measures import measure

LEAST = 20  # instances of a category from which one can be called unusual
NARROWEST = 0.14  # standard deviation of a logarithm: at a limit of 5, half or twice is usual
_NOT_SEEN_WHOLE = frozenset({"crowd", "occluded", "truncated"})
_UNNAMED = -1  # in the place of a shape: counted, but not to be reported


@dataclass
class Sizes:
    """Of each whole instance of one category: 16 bytes, in the order of the files."""

    areas: array[float] = field(default_factory=lambda: array("f"))  # log of square pixels
    aspects: array[float] = field(default_factory=lambda: array("f"))  # log of width to height
    files: array[int] = field(default_factory=lambda: array("i"))
    shapes: array[int] = field(default_factory=lambda: array("i"))


class Tally:
    """What is counted while the files pass; some bytes a shape, so that memory stays small."""

    def __init__(self, config: DatasetConfig) -> None:
        self._config = config
        self._used: set[str] = set()
        self._instances = dict.fromkeys(config.things, 0)
        self._sizes = {label: Sizes() for label in config.things}

    def add(self, file: int, drawing: Drawing) -> None:
        """Count one annotation; `file` is its number."""
        self._used.update(shape.label for shape in drawing.shapes if shape.label in self._sizes)
        counted = [one for one in drawing.instances if one.label in self._sizes]
        for instance in counted:
            self._instances[instance.label] += 1
        whole = [one for one in counted if not one.flags & _NOT_SEEN_WHOLE]
        if whole and drawing.size is not None:
            self._add_sizes(file, drawing, whole, *drawing.size)

    def _add_sizes(
        self, file: int, drawing: Drawing, whole: list[Instance], height: int, width: int
    ) -> None:
        """Note size and form of the instances that end inside the photo."""
        measured, margin = measure(drawing), drawing.limits.margin
        rows = zip(measured.areas.tolist(), measured.boxes.tolist(), strict=True)
        row_of = dict(zip(measured.index.tolist(), rows, strict=True))
        for instance in whole:
            parts = [row_of[part] for part in instance.parts if part in row_of]
            if not (area := sum(area for area, _ in parts)):
                continue
            x0, y0 = (min(box[i] for _, box in parts) for i in (0, 1))
            x1, y1 = (max(box[i] for _, box in parts) for i in (2, 3))
            if min(x0, y0) > margin and x1 < width - margin and y1 < height - margin:
                shape = instance.parts[0]
                checked = drawing.shapes[shape].flags.get(CHECKED)
                sizes = self._sizes[instance.label]
                sizes.areas.append(math.log(area))
                sizes.aspects.append(math.log((x1 - x0) / (y1 - y0)))
                sizes.files.append(file)
                sizes.shapes.append(_UNNAMED if checked else shape)

    def complaints(self) -> Iterator[Complaint]:
        """What is wrong with the set's categories."""
        few, counts = self._config.limits.few, self._instances
        for label, count in counts.items():
            if label not in self._used:
                message = f"no shape has the label '{label}'"
                yield Complaint("label-unused", None, message, "draw some, or take it out")
            elif count < few:
                message = f"'{label}' has {count} instances, expected {few} or more"
                yield Complaint("category-few", None, message, "draw more of it")
        present = sorted((count, label) for label, count in counts.items() if count)
        if not present:
            return
        (least, rare), (most, frequent) = present[0], present[-1]
        if most > self._config.limits.imbalance * least:
            message = f"'{frequent}' has {most} instances, '{rare}' only {least}"
            yield Complaint("category-imbalance", None, message, f"draw more of '{rare}'")

    def outliers(self) -> Iterator[tuple[int, Complaint]]:
        """Number of the file, and what is unusual of one of its things."""
        for label, sizes in self._sizes.items():
            if len(sizes.shapes) >= LEAST:
                yield from self._outliers(label, sizes, "size-outlier", sizes.areas)
                yield from self._outliers(label, sizes, "aspect-outlier", sizes.aspects)

    def _outliers(
        self, label: str, sizes: Sizes, rule: str, logs: array[float]
    ) -> Iterator[tuple[int, Complaint]]:
        values = np.array(logs, np.float64)
        centre, deviations = robust_deviations(values)
        for i in np.flatnonzero(np.abs(deviations) > self._config.limits.outlier).tolist():
            if sizes.shapes[i] == _UNNAMED:
                continue
            message = (
                f"{_worded(rule, label, float(values[i]), centre)}:"
                f" {abs(deviations[i]):.1f} standard deviations"
            )
            fix = "look at its label and outline; flag it `checked` if they are right"
            yield sizes.files[i], Complaint(rule, sizes.shapes[i], message, fix)


def robust_deviations(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Median, and each value's distance from it in standard deviations, (N,) float64.

    The standard deviation of either side is that of a normal distribution with the same median
    absolute deviation, or with the same outermost 5 % where these lie farther out: what one thing
    in twenty does, as drums that have fallen over, is not unusual.
    """
    centre = float(np.median(values))
    spread = max(1.4826 * float(np.median(np.abs(values - centre))), NARROWEST)
    low, high = np.abs(np.quantile(values, (0.05, 0.95)) - centre) / 1.645
    spreads = np.where(values < centre, max(spread, low), max(spread, high))
    return centre, (values - centre) / spreads


def _worded(rule: str, label: str, value: float, centre: float) -> str:
    if rule == "size-outlier":
        many = math.exp(abs(value - centre))
        kind = "larger" if value > centre else "smaller"
        area = f"{math.exp(value):.0f} square pixels"
        return f"this '{label}' has {area}, {many:.0f} times {kind} than usual"
    own, usual = math.exp(value), math.exp(centre)
    return f"this '{label}' is {own:.2g} times as wide as high, usual is {usual:.2g}"
