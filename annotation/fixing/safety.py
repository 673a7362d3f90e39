"""Whether a fix of shapes is safe: judged by the painted picture and by the findings it causes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from annotation.dataset import DatasetConfig
from annotation.fixing.file_fixes import FileToFix
from annotation.fixing.shape_fixes import MOST_CHANGE, NotFixedError
from annotation.labelme.annotation import Annotation, Shape
from annotation.labelme.geometry import ShapeError, check_points, mask_pixels
from annotation.labelme.instances import find_instances, find_stuff
from annotation.photos.files import Size
from annotation.rules.judge import judge
from annotation.rules.labels import label_complaints
from annotation.rules.pairs import pair_complaints
from annotation.rules.resolved import resolve_annotation
from annotation.rules.shapes import shape_complaints
from base.counting import counted

Shapes = tuple[Shape, ...]
Paint = Callable[[Sequence[Shape], DatasetConfig, Size], NDArray[np.int32]]
"""Returns (H, W) numbers from 1 of the visible instances: those of stuff, then the others."""


class Safety:
    """The judge of the fixes of one file."""

    def __init__(self, file: FileToFix, annotation: Annotation, paint: Paint) -> None:
        self._file, self._annotation, self._paint = file, annotation, paint
        self._known: tuple[Shapes, Counter[str]] = ((), Counter())

    def check(self, before: Shapes, after: Shapes) -> None:
        """Raise NotFixedError if a fix that replaces the shapes of the photo is not safe.

        Each instance keeps its visible pixels, except for a few, and no rule has more findings.
        """
        if self._file.checked.size is None:
            raise NotFixedError("the size of its photo is not known")
        self._check_picture(before, after, self._file.checked.size)
        known = self._known[1] if self._known[0] == before else self._count_findings(before)
        found = self._count_findings(after)
        for rule in found - known:
            raise NotFixedError(f"the fix would cause a finding [{rule}]; draw it again")
        self._known = after, found

    def _check_picture(self, before: Shapes, after: Shapes, size: Size) -> None:
        config = self._file.dataset.config
        old, new = _readable(before, size), _readable(after, size)
        labels = _labels(old, config)
        if _labels(new, config) != labels:
            raise NotFixedError("the fix would change which shapes belong together; draw it again")
        painted = self._paint(old, config, size), self._paint(new, config, size)
        counts = [np.bincount(one.ravel(), minlength=len(labels) + 1)[1:] for one in painted]
        differs = painted[0] != painted[1]
        changed = np.maximum(
            *(np.bincount(one[differs], minlength=len(labels) + 1)[1:] for one in painted)
        )
        allowed = np.maximum(MOST_CHANGE * counts[0], config.limits.tiny_area)
        wrong = (changed > allowed) | ((counts[0] > 0) & (counts[1] == 0))
        if wrong.any():
            i = int(np.argmax(wrong))
            visible = f"from {counted(int(counts[0][i]), 'visible pixel')} to {counts[1][i]:,}"
            raise NotFixedError(f"the fix would change a '{labels[i]}' {visible}; draw it again")

    def _count_findings(self, shapes: Shapes) -> Counter[str]:
        """Count the findings about these shapes by rule, with the severities of the set."""
        file, annotation = self._file, replace(self._annotation, shapes=shapes)
        path, size, dataset = file.checked.path, file.checked.size, file.dataset
        resolved = resolve_annotation(path, annotation, file.checked.photo, size, dataset.config)
        rules = label_complaints, shape_complaints, pair_complaints
        complaints = chain.from_iterable(rule(resolved) for rule in rules)
        return Counter(one.rule for one in judge(dataset, path, complaints, annotation))


def _labels(shapes: Shapes, config: DatasetConfig) -> list[str]:
    return [one.label for one in (*find_stuff(shapes, config), *find_instances(shapes, config))]


def _readable(shapes: Shapes, size: Size) -> Shapes:
    """Return the shapes whose geometry is known; a fix changes none of the others."""
    return tuple(shape for shape in shapes if _is_readable(shape, size))


def _is_readable(shape: Shape, size: Size) -> bool:
    try:
        if shape.shape_type == "mask":
            mask_pixels(shape, size)
        check_points(shape)
    except ShapeError:
        return False
    return True
