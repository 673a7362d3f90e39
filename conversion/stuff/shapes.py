"""Stuff from Labelme shapes whose labels are listed in `stuff_sources`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotation.dataset import DatasetConfig
from annotation.labelme.annotation import Shape
from annotation.labelme.instances import find_stuff
from base.errors import InputError, nearest
from conversion.config import StuffSource
from conversion.painting.raster import shape_masks
from conversion.stuff.meanings import NOT_STUFF, SILENT, Map


@dataclass(frozen=True, eq=False)
class StuffShapes:
    """Labelme shapes that are stuff; `meanings` are category ids by label."""

    config: DatasetConfig
    meanings: dict[str, int]

    def summary(self) -> object:
        """Return what determines the meaning of pixels, except the shapes."""
        return "shapes", self.config.line_width, self.config.holes, sorted(self.meanings.items())

    def inputs(self, name: str) -> tuple[Path | str, ...]:
        """Return nothing: `read` receives the shapes."""
        return ()

    def read(self, name: str, shapes: Sequence[Shape], *, height: int, width: int) -> Map | None:
        """Paint (H, W) uint16 meanings, later shapes over earlier ones; None if there are none."""
        found = [one for one in find_stuff(shapes, self.config) if one.label in self.meanings]
        if not found:
            return None
        result = np.full((height, width), SILENT, np.uint16)
        cut_of = {part: one.holes for one in found for part in one.parts}
        for part in sorted(cut_of):
            used, line_width = [shapes[i] for i in (part, *cut_of[part])], self.config.line_width
            mask, *holes = shape_masks(used, height=height, width=width, line_width=line_width)
            mask.without(*holes).paint(result, self.meanings[shapes[part].label])
        return result


def open_shapes(
    config: DatasetConfig, source: StuffSource, names: Mapping[str, int], *, where: str
) -> StuffShapes:
    """Open the shapes of one source; raises InputError if their stuff is not in the set."""
    known = {name: meaning for name, meaning in names.items() if meaning < NOT_STUFF}
    for label, name in source.stuff_of_label.items():
        if name not in known:
            hint = nearest(name, known)
            expected = "expected a stuff category of the set"
            raise InputError(f"{where}: shapes: {label}: {expected}, found '{name}'{hint}")
    return StuffShapes(config, {label: known[n] for label, n in source.stuff_of_label.items()})
