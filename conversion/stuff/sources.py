"""Stuff sources: the stuff category of each pixel of a photo (docs/stuff.md)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from annotation.dataset import Dataset
from annotation.labelme.annotation import Shape
from base.errors import InputError
from base.files import digest
from conversion.coco.categories import Category
from conversion.config import LEAST_CONFIDENCE, ConversionConfig, StuffSource
from conversion.stuff.coco import open_coco
from conversion.stuff.map_names import match_maps
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
from conversion.stuff.shapes import open_shapes


class Source(Protocol):
    """One source; its methods are described in `conversion.stuff.maps.LabelMaps`."""

    def summary(self) -> object: ...

    def inputs(self, name: str) -> tuple[Path | str, ...]: ...

    def read(
        self, name: str, shapes: Sequence[Shape], *, height: int, width: int
    ) -> Map | None: ...


@dataclass(frozen=True, eq=False)
class StuffReader:
    """The opened stuff sources of a set; it can be pickled and holds no data of single photos.

    `digest` changes whenever settings, tables or categories of the sources change.
    """

    images: Path
    sources: tuple[Source, ...]
    digest: str

    def inputs(self, photo: Path) -> tuple[Path | str, ...]:
        """Return the files and texts that determine a photo's stuff, besides its shapes and size.

        Equal texts and equal contents of files give equal stuff.
        """
        name = photo.relative_to(self.images).as_posix()
        found: list[Path | str] = [self.digest]
        for number, source in enumerate(self.sources):
            if own := source.inputs(name):
                found += [str(number), *own]
        return tuple(found)

    def knows(self, photo: Path) -> bool:
        """Return whether a source has something about a photo, besides shapes."""
        return len(self.inputs(photo)) > 1

    def read(
        self, photo: Path, shapes: Sequence[Shape], *, height: int, width: int
    ) -> NDArray[np.uint16]:
        """Read (H, W) uint16 stuff category ids of one photo, as `read_counted` does."""
        return self.read_counted(photo, shapes, height=height, width=width)[0]

    def read_counted(
        self, photo: Path, shapes: Sequence[Shape], *, height: int, width: int
    ) -> tuple[NDArray[np.uint16], int]:
        """Read (H, W) uint16 stuff category ids, 0 if unknown, and count the pixels refused.

        The first source with information about a pixel decides. If it has a thing there, or stuff
        that is not in the set, the pixel is refused: it is void, and later sources do not fill it.
        Raises InputError for maps of another size and for values without a meaning.
        """
        name = photo.relative_to(self.images).as_posix()
        result: Map | None = None
        for source in self.sources:
            found = source.read(name, shapes, height=height, width=width)
            if result is None:
                result = found
            elif found is not None:
                np.copyto(result, found, where=result == SILENT)
        if result is None:
            return np.zeros((height, width), np.uint16), 0
        refused = result == NOT_STUFF
        result[refused] = SILENT
        return result, int(np.count_nonzero(refused))


def open_stuff(
    dataset: Dataset, config: ConversionConfig, categories: Sequence[Category]
) -> StuffReader:
    """Open all stuff sources of a set; raises InputError if one is missing or wrong."""
    names = source_names(dataset, config, categories)
    sources = [
        open_source(dataset, source, names, categories, index=index)
        for index, source in enumerate(config.stuff_sources)
    ]
    meanings = digest(*(repr(source.summary()) for source in sources))
    return StuffReader(dataset.images, tuple(sources), meanings)


def source_names(
    dataset: Dataset, config: ConversionConfig, categories: Sequence[Category]
) -> dict[str, int]:
    """Return the meaning of every name that the sources of a set may use."""
    return name_meanings(dataset.config.things, config.stuff_groups, categories)


def open_source(
    dataset: Dataset,
    source: StuffSource,
    names: Mapping[str, int],
    categories: Sequence[Category],
    *,
    index: int,
) -> Source:
    """Open one source, whose place in the list is `index`.

    Raises InputError if it is missing or wrong.
    """
    where = f"{dataset.root / 'dataset.yaml'}: stuff_sources[{index}]"
    if source.label_maps is not None:
        return _open_label_maps(dataset, source, names, categories, where=where)
    if source.pixelmaps is not None:
        folder = _folder(dataset, source.pixelmaps, "pixel maps", where=where)
        maps = match_maps(folder, photo_names(dataset), by_id=True)
        return LabelMaps(maps, pixelmap_meanings(names), False, "ids of COCO's stuff task")
    if source.shapes is not None:
        return open_shapes(dataset.config, source, names, where=where)
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
        raise InputError(f"{where}: expected a folder of {kind}, found none at {folder}")
    return folder


def _shared_names(dataset: Dataset) -> frozenset[str]:
    """Return names without folders that several photos have, so that they identify no photo."""
    counts = Counter(name.rpartition("/")[2] for name in photo_names(dataset))
    return frozenset(name for name, count in counts.items() if count > 1)


def photo_names(dataset: Dataset) -> Iterator[str]:
    """Yield the name of each photo below `images/`."""
    start = len(str(dataset.images)) + 1
    for text in dataset.photos().texts if dataset.images.is_dir() else ():
        yield text[start:].replace(os.sep, "/")


def _open_label_maps(
    dataset: Dataset,
    source: StuffSource,
    names: Mapping[str, int],
    categories: Sequence[Category],
    *,
    where: str,
) -> LabelMaps:
    folder = _folder(dataset, source.label_maps or "", "label maps", where=where)
    maps = match_maps(folder, photo_names(dataset))
    if source.table is None:
        return LabelMaps(maps, id_meanings(names, categories), False, "COCO panoptic ids")
    table = source.table
    rows = dataset.inside(table, where=where) if isinstance(table, str) else table
    meanings, colored = read_table(rows, names, where=where)
    return LabelMaps(maps, meanings, colored, f"a value in {where}: table")
