"""Stuff sources: which stuff category lies at each pixel of a photo (docs/stuff.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from annotation.dataset import Dataset, DatasetConfig
from annotation.labelme.annotation import Shape
from annotation.labelme.instances import find_stuff
from base.errors import InputError, nearest
from base.files import digest
from conversion.coco.categories import Category
from conversion.config import LEAST_CONFIDENCE, ConversionConfig, StuffSource
from conversion.painting.raster import shape_masks
from conversion.stuff.coco import open_coco
from conversion.stuff.maps import LabelMaps
from conversion.stuff.meanings import (
    NOT_STUFF,
    SILENT,
    Map,
    id_meanings,
    name_meanings,
    pixelmap_meanings,
    read_table,
)


class _Source(Protocol):
    def summary(self) -> object: ...

    def inputs(self, name: str) -> tuple[Path | str, ...]: ...

    def read(
        self, name: str, shapes: Sequence[Shape], *, height: int, width: int
    ) -> Map | None: ...


@dataclass(frozen=True, eq=False)
class StuffReader:
    """A set's stuff sources, opened; it can be pickled, and holds nothing of single photos.

    `digest` stands for all that the sources' settings, tables and categories say.
    """

    images: Path
    sources: tuple[_Source, ...]
    digest: str

    def inputs(self, photo: Path) -> tuple[Path | str, ...]:
        """Files and texts that decide the stuff of a photo, besides its shapes and its size.

        The same texts and the same contents of files give the same stuff.
        """
        name = photo.relative_to(self.images).as_posix()
        found: list[Path | str] = [self.digest]
        for number, source in enumerate(self.sources):
            if own := source.inputs(name):
                found += [str(number), *own]
        return tuple(found)

    def read(
        self, photo: Path, shapes: Sequence[Shape], *, height: int, width: int
    ) -> NDArray[np.uint16]:
        """(H, W) uint16 stuff category ids of one photo, 0 where none is known; see `look`."""
        return self.look(photo, shapes, height=height, width=width)[0]

    def look(
        self, photo: Path, shapes: Sequence[Shape], *, height: int, width: int
    ) -> tuple[NDArray[np.uint16], int]:
        """(H, W) uint16 stuff category ids, 0 where none is known, and the number refused.

        The first source that speaks for a pixel wins; what it calls a thing, or stuff that the set
        leaves out, is void, and no later source fills it. InputError for maps of another size and
        values that nobody has explained.
        """
        name = photo.relative_to(self.images).as_posix()
        result: Map | None = None
        for source in self.sources:
            said = source.read(name, shapes, height=height, width=width)
            if result is None:
                result = said
            elif said is not None:
                np.copyto(result, said, where=result == SILENT)
        if result is None:
            return np.zeros((height, width), np.uint16), 0
        refused = result == NOT_STUFF
        result[refused] = SILENT
        return result, int(np.count_nonzero(refused))


def open_stuff(
    dataset: Dataset, config: ConversionConfig, categories: Sequence[Category]
) -> StuffReader:
    """Open all stuff sources of a set; InputError where one is missing or wrong."""
    names = name_meanings(dataset.config.things, config.stuff_groups, categories)
    sources = [
        _open_source(dataset, source, names, categories, where=_where(dataset, index))
        for index, source in enumerate(config.stuff_sources)
    ]
    meanings = digest(*(repr(source.summary()) for source in sources))
    return StuffReader(dataset.images, tuple(sources), meanings)


def _where(dataset: Dataset, index: int) -> str:
    return f"{dataset.root / 'dataset.yaml'}: stuff_sources[{index}]"


def _open_source(
    dataset: Dataset,
    source: StuffSource,
    names: Mapping[str, int],
    categories: Sequence[Category],
    *,
    where: str,
) -> _Source:
    if source.label_maps is not None:
        return _open_label_maps(dataset, source, names, categories, where=where)
    if source.pixelmaps is not None:
        folder = _folder(dataset, source.pixelmaps, "pixel maps", where=where)
        ids = pixelmap_meanings(names)
        return LabelMaps(folder, ids, False, "ids of COCO's stuff task", by_id=True)
    if source.shapes is not None:
        return _open_shapes(dataset.config, source, names, where=where)
    if source.prediction is not None:
        path = dataset.inside(source.prediction, where=where)
        given = source.confidence
        confidence = LEAST_CONFIDENCE if given is None else given
        return open_coco(path, names, confidence=confidence, shared=_shared_names(dataset))
    assert source.coco is not None  # StuffSource has exactly one kind
    path = dataset.inside(source.coco, where=where)
    return open_coco(path, names, confidence=None, shared=_shared_names(dataset))


def _folder(dataset: Dataset, relative: str, kind: str, *, where: str) -> Path:
    folder = dataset.inside(relative, where=where)
    if not folder.is_dir():
        raise InputError(f"{folder}: missing; {where} expects a folder of {kind}")
    return folder


def _shared_names(dataset: Dataset) -> frozenset[str]:
    """Names without folders that several photos have; they tell none of them."""
    photos = dataset.photos() if dataset.images.is_dir() else []
    counts = Counter(photo.name for photo in photos)
    return frozenset(name for name, count in counts.items() if count > 1)


def _open_label_maps(
    dataset: Dataset,
    source: StuffSource,
    names: Mapping[str, int],
    categories: Sequence[Category],
    *,
    where: str,
) -> LabelMaps:
    folder = _folder(dataset, source.label_maps or "", "label maps", where=where)
    if source.table is None:
        return LabelMaps(folder, id_meanings(names, categories), False, "COCO panoptic ids")
    table = source.table
    rows = dataset.inside(table, where=where) if isinstance(table, str) else table
    meanings, colored = read_table(rows, names, where=where)
    return LabelMaps(folder, meanings, colored, f"those of {where}: table")


@dataclass(frozen=True, eq=False)
class StuffShapes:
    """Labelme shapes that are stuff; `meanings` are category ids by label."""

    config: DatasetConfig
    meanings: dict[str, int]

    def summary(self) -> object:
        """All but the shapes that decides what the pixels mean."""
        return "shapes", self.config.line_width, self.config.holes, sorted(self.meanings.items())

    def inputs(self, name: str) -> tuple[Path | str, ...]:
        """Nothing: the shapes are given to `read`."""
        return ()

    def read(self, name: str, shapes: Sequence[Shape], *, height: int, width: int) -> Map | None:
        """(H, W) uint16 meanings, later shapes over earlier ones; None where there are none."""
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


def _open_shapes(
    config: DatasetConfig, source: StuffSource, names: Mapping[str, int], *, where: str
) -> StuffShapes:
    known = {name: meaning for name, meaning in names.items() if meaning < NOT_STUFF}
    for label, name in source.stuff_of_label.items():
        if name not in known:
            hint = nearest(name, known)
            raise InputError(f"{where}: shapes: {label}: '{name}' is no stuff of the set{hint}")
    return StuffShapes(config, {label: known[n] for label, n in source.stuff_of_label.items()})
