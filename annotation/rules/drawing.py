"""One annotation with all that rules look at, computed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from shapely.geometry.base import BaseGeometry

from annotation.dataset import DatasetConfig, Limits
from annotation.findings import Complaint
from annotation.labelme.annotation import Annotation, Shape
from annotation.labelme.geometry import ShapeError, figure
from annotation.labelme.instances import Instance, find_instances
from annotation.photos.files import Size


@dataclass(frozen=True)
class Drawing:
    """An annotation that could be read; `size` is its photo's, or None where nobody knows it.

    `figures` has one geometry a shape, in pixels: empty for lines that the set leaves out, None
    where the shape covers nothing that can be computed, as `problems` says.
    """

    path: Path
    annotation: Annotation
    photo: Path | None
    size: Size | None
    config: DatasetConfig
    figures: tuple[BaseGeometry | None, ...]
    problems: tuple[Complaint, ...]

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return self.annotation.shapes

    @property
    def limits(self) -> Limits:
        return self.config.limits

    @cached_property
    def instances(self) -> tuple[Instance, ...]:
        """Things and ignored regions, in the order of their first part."""
        return find_instances(self.shapes, self.config)

    def known(self) -> Iterator[tuple[int, Shape, BaseGeometry]]:
        """Index, shape and figure of every shape whose figure is known and not empty."""
        for index, (shape, covered) in enumerate(zip(self.shapes, self.figures, strict=True)):
            if covered is not None and not covered.is_empty:
                yield index, shape, covered


def draw(
    path: Path,
    annotation: Annotation,
    photo: Path | None,
    size: Size | None,
    config: DatasetConfig,
) -> Drawing:
    """Compute the figures of an annotation's shapes and what is wrong with those that have none."""
    figures: list[BaseGeometry | None] = []
    problems = []
    for index, shape in enumerate(annotation.shapes):
        try:
            figures.append(figure(shape, line_width=config.line_width))
        except ShapeError as error:
            figures.append(None)
            fix = "delete the shape, or draw it again"
            problems.append(Complaint(error.rule, index, str(error), fix))
    return Drawing(path, annotation, photo, size, config, tuple(figures), tuple(problems))
