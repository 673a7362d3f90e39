"""Annotation mistakes, planted in the yard set to test how many of them validation finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from shapely.geometry import Polygon

from annotation.labelme.annotation import Annotation, Shape, read_annotation, write_annotation
from base.files import write_bytes
from base.parsing import write_json

PHOTOS_PER_ROUND = 24  # a round plants one flaw for each rule
UNSUITABLE = -1  # no shape in the file allows the mistake
TYPOS = {
    "traffic-cone": "trafic-cone",
    "brick-pallet": "brick-palet",
    "pipe-bundle": "pipe bundle",
    "oil-drum": "oildrum",
    "wheel-loader": "wheel-loder",
    "concrete-mixer": "concret-mixer",
    "ladder": "Ladder",
    "barrier": "barier",
}


@dataclass(frozen=True)
class Flaw:
    """A planted mistake: the rule that should find it, its file, and its shape."""

    rule: str
    file: str
    shape: int | None


def plant_flaws(root: Path, *, seed: int) -> None:
    """Plant at most one mistake in each file of a rendered set and list them in `flaws.json`."""
    rng = np.random.default_rng([seed, 0xF1A])
    files = sorted((root / "labelme").glob("*.json"))
    rounds = max(1, round(len(files) / PHOTOS_PER_ROUND))
    remaining = [files[i] for i in rng.permutation(len(files))]
    flaws = []
    for rule in RULES * rounds:
        flaw = _plant(root, rule, remaining, rng)
        if flaw:
            flaws.append(flaw)
    flaws.sort(key=lambda flaw: (flaw.file, flaw.rule))
    write_json(root / "flaws.json", {"flaws": flaws}, indent=2)


def _plant(root: Path, rule: str, remaining: list[Path], rng: np.random.Generator) -> Flaw | None:
    """Plant a mistake in the first file that allows it and remove that file from the list."""
    for path in remaining:
        index = _plant_in_file(root, path, rule, rng)
        if index != UNSUITABLE:
            remaining.remove(path)
            return Flaw(rule, path.relative_to(root).as_posix(), index)
    return None


def _plant_in_file(root: Path, path: Path, rule: str, rng: np.random.Generator) -> int | None:
    """Plant a mistake; return the index of its shape, None for the whole file, or UNSUITABLE."""
    annotation = read_annotation(path)
    if rule == "annotation-orphan":
        (path.parent / annotation.image_path).unlink()
        return None
    if rule == "file-not-json":
        data = path.read_bytes()
        write_bytes(path, data[: int(len(data) * rng.uniform(0.3, 0.8))])
        return None
    if rule in FILE_FLAWS:
        write_annotation(path, FILE_FLAWS[rule](annotation))
        return None
    for index in rng.permutation(len(annotation.shapes)).tolist():
        flawed = SHAPE_FLAWS[rule](annotation.shapes[index], annotation, rng)
        if flawed:
            shapes = [flawed if i == index else s for i, s in enumerate(annotation.shapes)]
            write_annotation(path, replace(annotation, shapes=tuple(shapes)))
            return int(index)
    return UNSUITABLE


def _mistyped(shape: Shape, annotation: Annotation, rng: np.random.Generator) -> Shape | None:
    return replace(shape, label=TYPOS[shape.label])


def _few_points(shape: Shape, annotation: Annotation, rng: np.random.Generator) -> Shape | None:
    return replace(shape, points=shape.points[:2]) if shape.shape_type == "polygon" else None


def _out_of_picture(shape: Shape, annotation: Annotation, rng: np.random.Generator) -> Shape | None:
    """Move the rightmost vertices of a shape near the right border out of the photo."""
    if shape.shape_type != "polygon" or annotation.width is None:
        return None
    points = np.array(shape.points)
    gap = annotation.width - points[:, 0].max()
    right = points[:, 0] >= np.quantile(points[:, 0], 0.7)
    points[right, 0] += gap + rng.uniform(6, 15)
    moved = tuple((x, y) for x, y in points.round(2).tolist())
    return replace(shape, points=moved) if gap < 15 and Polygon(moved).is_valid else None


def _self_crossing(shape: Shape, annotation: Annotation, rng: np.random.Generator) -> Shape | None:
    """Swap two vertices, so that the outline crosses itself."""
    if shape.shape_type != "polygon" or len(shape.points) < 5:
        return None
    for first in rng.permutation(len(shape.points) - 2).tolist():
        points = list(shape.points)
        points[first], points[first + 2] = points[first + 2], points[first]
        if not Polygon(points).is_valid:
            return replace(shape, points=tuple(points))
    return None


FILE_FLAWS: dict[str, Callable[[Annotation], Annotation]] = {
    "photo-size": lambda a: replace(a, width=a.height, height=a.width),
    "annotation-empty": lambda a: replace(a, shapes=()),
}
SHAPE_FLAWS: dict[str, Callable[[Shape, Annotation, np.random.Generator], Shape | None]] = {
    "label-typo": _mistyped,
    "points-few": _few_points,
    "out-of-picture": _out_of_picture,
    "self-crossing": _self_crossing,
}
RULES = ["annotation-orphan", "file-not-json", *FILE_FLAWS, *SHAPE_FLAWS]
