"""What the geometric rules report about shapes on a photo, without files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from annotation.dataset import DatasetConfig
from annotation.findings import Complaint
from annotation.labelme.annotation import Annotation, Shape
from annotation.photos.files import Size
from annotation.rules.pairs import pair_complaints
from annotation.rules.resolved import ResolvedAnnotation, resolve_annotation
from annotation.rules.shapes import shape_complaints

CONFIG = DatasetConfig("drawn", ("box", "disc"))


def polygon(*points: tuple[float, float], label: str = "box", group_id: int | None = None) -> Shape:
    return Shape(label, points, group_id=group_id)


def box(
    x0: float, y0: float, x1: float, y1: float, label: str = "box", group_id: int | None = None
) -> Shape:
    return polygon((x0, y0), (x1, y0), (x1, y1), (x0, y1), label=label, group_id=group_id)


def resolved(
    shapes: Sequence[Shape], *, size: Size | None = (30, 40), config: DatasetConfig = CONFIG
) -> ResolvedAnnotation:
    annotation = Annotation("a.jpg", 30, 40, tuple(shapes))
    return resolve_annotation(Path("a.json"), annotation, None, size, config)


def complaints(
    *shapes: Shape, size: Size | None = (30, 40), config: DatasetConfig = CONFIG
) -> list[Complaint]:
    one = resolved(shapes, size=size, config=config)
    return [*shape_complaints(one), *pair_complaints(one)]


def reported(
    *shapes: Shape, size: Size | None = (30, 40), config: DatasetConfig = CONFIG
) -> list[tuple[str, int | None]]:
    return [(c.rule, c.shape) for c in complaints(*shapes, size=size, config=config)]
