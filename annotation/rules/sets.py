"""Rules about the set as a whole: its categories, and things unlike the others."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from annotation.dataset import DatasetConfig
from annotation.findings import Complaint
from annotation.rules.statistics import UNNAMED, Statistics
from base.counting import counted

LEAST = 20  # instances that a category needs before one of them can be an outlier
NARROWEST = 0.14  # least standard deviation of a logarithm: with the limit 5, a factor of 2 is fine


@dataclass
class Sizes:
    """Sizes of all fully visible instances of one category, 16 bytes each, in file order."""

    areas: array[float] = field(default_factory=lambda: array("f"))  # log of square pixels
    aspects: array[float] = field(default_factory=lambda: array("f"))  # log of width / height
    files: array[int] = field(default_factory=lambda: array("i"))
    shapes: array[int] = field(default_factory=lambda: array("i"))


class Tally:
    """Sums of the statistics of all annotations; takes a few bytes per shape."""

    def __init__(self, config: DatasetConfig) -> None:
        self._config = config
        self._used: set[int] = set()
        self._instances = [0] * len(config.things)
        self._sizes = [Sizes() for _ in config.things]

    def add(self, file: int, statistics: Statistics) -> None:
        """Add one annotation; `file` is its index."""
        self._used.update(statistics.used)
        for thing, count in statistics.instances:
            self._instances[thing] += count
        for one in statistics.sizes:
            sizes = self._sizes[one.thing]
            sizes.areas.append(one.log_area)
            sizes.aspects.append(one.log_aspect)
            sizes.files.append(file)
            sizes.shapes.append(one.shape)

    def complaints(self) -> Iterator[Complaint]:
        """Check the number of instances of the categories."""
        few, things = self._config.limits.few, self._config.things
        for thing, (label, count) in enumerate(zip(things, self._instances, strict=True)):
            if thing not in self._used:
                message = f"no shape has the label '{label}'"
                yield Complaint("label-unused", None, message, "draw some, or remove the label")
            elif count < few:
                message = f"'{label}' has {counted(count, 'instance')}, expected {few} or more"
                yield Complaint("category-few", None, message, "draw more of them")
        present = sorted(
            (count, label) for label, count in zip(things, self._instances, strict=True) if count
        )
        if not present:
            return
        (least, rare), (most, frequent) = present[0], present[-1]
        if most > self._config.limits.imbalance * least:
            message = f"'{frequent}' has {counted(most, 'instance')}, '{rare}' only {least:,}"
            yield Complaint("category-imbalance", None, message, f"draw more of '{rare}'")

    def outliers(self) -> Iterator[tuple[int, Complaint]]:
        """Yield the index of the file and the complaint for each unusual size or aspect."""
        for label, sizes in zip(self._config.things, self._sizes, strict=True):
            if len(sizes.shapes) >= LEAST:
                yield from self._outliers(label, sizes, "size-outlier", sizes.areas)
                yield from self._outliers(label, sizes, "aspect-outlier", sizes.aspects)

    def _outliers(
        self, label: str, sizes: Sizes, rule: str, logs: array[float]
    ) -> Iterator[tuple[int, Complaint]]:
        values = np.array(logs, np.float64)
        centre, deviations = robust_deviations(values)
        for i in np.flatnonzero(np.abs(deviations) > self._config.limits.outlier).tolist():
            if sizes.shapes[i] == UNNAMED:
                continue
            message = (
                f"{_described(rule, label, float(values[i]), centre)}:"
                f" {abs(deviations[i]):.1f} standard deviations"
            )
            fix = "check its label and outline; set the flag `checked` if they are right"
            yield sizes.files[i], Complaint(rule, sizes.shapes[i], message, fix)


def robust_deviations(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Return the median, and the distance of each value from it in standard deviations, (N,).

    The standard deviation of each side is that of a normal distribution with the same median
    absolute deviation, or with the same outermost 5 % if that is larger: what one in twenty things
    has in common is not unusual, such as drums that have fallen over.
    """
    centre = float(np.median(values))
    spread = max(1.4826 * float(np.median(np.abs(values - centre))), NARROWEST)
    low, high = np.abs(np.quantile(values, (0.05, 0.95)) - centre) / 1.645
    spreads = np.where(values < centre, max(spread, low), max(spread, high))
    return centre, (values - centre) / spreads


def _described(rule: str, label: str, value: float, centre: float) -> str:
    if rule == "size-outlier":
        many = math.exp(abs(value - centre))
        kind = "larger" if value > centre else "smaller"
        area = counted(round(math.exp(value)), "square pixel")
        return f"this '{label}' has {area}, {many:.0f} times {kind} than usual"
    own, usual = math.exp(value), math.exp(centre)
    return f"this '{label}' is {own:.2g} times as wide as high; the median is {usual:.2g}"
