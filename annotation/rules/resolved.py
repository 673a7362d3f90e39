"""An annotation together with everything that the rules need to know about it."""

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
class ResolvedAnnotation:
    """An annotation with its photo, the size of the photo and the geometry of each shape.

    `size` is None if neither the photo nor the annotation states it, or if the shapes were drawn on
    a picture of another size. `figures` has one geometry per shape, in pixels: empty for lines that
    the set leaves out, None for shapes whose geometry cannot be computed. `problems` are the
    complaints about the latter.
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

    def with_area(self) -> Iterator[tuple[int, BaseGeometry]]:
        """Yield the index and figure of every shape whose figure is known and not empty."""
        for index, covered in enumerate(self.figures):
            if covered is not None and not covered.is_empty:
                yield index, covered


def resolve_annotation(
    path: Path,
    annotation: Annotation,
    photo: Path | None,
    size: Size | None,
    config: DatasetConfig,
) -> ResolvedAnnotation:
    """Compute the figures of an annotation's shapes."""
    figures: list[BaseGeometry | None] = []
    problems = []
    picture = None if photo is None else size  # a size that only the file states proves nothing
    for index, shape in enumerate(annotation.shapes):
        try:
            figures.append(figure(shape, picture, line_width=config.line_width))
        except ShapeError as error:
            figures.append(None)
            fix = "delete the shape, or draw it again"
            problems.append(Complaint(error.rule, index, str(error), fix))
    return ResolvedAnnotation(
        path, annotation, photo, size, config, tuple(figures), tuple(problems)
    )
