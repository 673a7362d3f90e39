"""Mistakes that annotators make, planted into yard so that validation can be measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from shapely.geometry import Polygon

from annotation.labelme.annotation import Annotation, Shape, read_annotation, write_annotation
from base.files import write_bytes
from base.parsing import write_json

EVERY = 24  # photos for one flaw of each rule
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
    """One planted mistake: the rule that should find it, the file and the shape it is in."""

    rule: str
    file: str
    shape: int | None


Spoil = Callable[[Annotation, int, np.random.Generator], Annotation]


def plant_flaws(root: Path, *, seed: int) -> None:
    """Spoil some files of a drawn set, one mistake a file, and list them in `flaws.json`."""
    rng = np.random.default_rng([seed, 0xF1A])
    files = sorted((root / "labelme").glob("*.json"))
    rounds = max(1, round(len(files) / EVERY))
    rest = [files[i] for i in rng.permutation(len(files))]
    flaws = []
    for rule in RULES * rounds:
        flaw = _plant(root, rule, rest, rng)
        if flaw:
            flaws.append(flaw)
    flaws.sort(key=lambda flaw: (flaw.file, flaw.rule))
    write_json(root / "flaws.json", {"flaws": flaws}, indent=2)


def _plant(root: Path, rule: str, rest: list[Path], rng: np.random.Generator) -> Flaw | None:
    """Spoil the first file left that can bear this mistake, and take it off the list."""
    for path in rest:
        index = _spoil_file(root, path, rule, rng)
        if index != UNFIT:
            rest.remove(path)
            return Flaw(rule, path.relative_to(root).as_posix(), index)
    return None


UNFIT = -1


def _spoil_file(root: Path, path: Path, rule: str, rng: np.random.Generator) -> int | None:
    """Spoil one file; return the index of the shape, None for the whole file, or UNFIT."""
    annotation = read_annotation(path)
    if rule == "annotation-orphan":
        (path.parent / annotation.image_path).unlink()
        return None
    if rule == "file-not-json":
        data = path.read_bytes()
        write_bytes(path, data[: int(len(data) * rng.uniform(0.3, 0.8))])
        return None
    if rule in WHOLE:
        write_annotation(path, WHOLE[rule](annotation))
        return None
    for index in rng.permutation(len(annotation.shapes)).tolist():
        spoilt = SHAPES[rule](annotation.shapes[index], annotation, rng)
        if spoilt:
            shapes = [spoilt if i == index else s for i, s in enumerate(annotation.shapes)]
            write_annotation(path, replace(annotation, shapes=tuple(shapes)))
            return int(index)
    return UNFIT


def _mistyped(shape: Shape, annotation: Annotation, rng: np.random.Generator) -> Shape | None:
    return replace(shape, label=TYPOS[shape.label])


def _few_points(shape: Shape, annotation: Annotation, rng: np.random.Generator) -> Shape | None:
    return replace(shape, points=shape.points[:2]) if shape.shape_type == "polygon" else None


def _out_of_picture(shape: Shape, annotation: Annotation, rng: np.random.Generator) -> Shape | None:
    """Pull the rightmost vertices of a shape that stands near the border over it."""
    if shape.shape_type != "polygon" or annotation.width is None:
        return None
    points = np.array(shape.points)
    gap = annotation.width - points[:, 0].max()
    far = points[:, 0] >= np.quantile(points[:, 0], 0.7)
    points[far, 0] += gap + rng.uniform(6, 15)
    moved = tuple((x, y) for x, y in points.round(2).tolist())
    return replace(shape, points=moved) if gap < 15 and Polygon(moved).is_valid else None


def _self_crossing(shape: Shape, annotation: Annotation, rng: np.random.Generator) -> Shape | None:
    """Swap two vertices so that the outline crosses itself."""
    if shape.shape_type != "polygon" or len(shape.points) < 5:
        return None
    for first in rng.permutation(len(shape.points) - 2).tolist():
        points = list(shape.points)
        points[first], points[first + 2] = points[first + 2], points[first]
        if not Polygon(points).is_valid:
            return replace(shape, points=tuple(points))
    return None


WHOLE: dict[str, Callable[[Annotation], Annotation]] = {
    "photo-size": lambda a: replace(a, width=a.height, height=a.width),
    "annotation-empty": lambda a: replace(a, shapes=()),
}
SHAPES: dict[str, Callable[[Shape, Annotation, np.random.Generator], Shape | None]] = {
    "label-typo": _mistyped,
    "points-few": _few_points,
    "out-of-picture": _out_of_picture,
    "self-crossing": _self_crossing,
}
RULES = ["annotation-orphan", "file-not-json", *WHOLE, *SHAPES]
