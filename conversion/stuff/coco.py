"""Stuff from COCO files: panoptic sets, including predictions, and COCO's stuff JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from annotation.labelme.annotation import Shape
from base.errors import InputError
from conversion.coco.cropped_mask import CroppedMask, union
from conversion.coco.index import CocoIndex, open_index
from conversion.coco.instances import Segmentation
from conversion.coco.links import Id
from conversion.coco.lookup import find_file
from conversion.coco.panoptic_file import png_folders
from conversion.coco.png import read_segment_ids
from conversion.coco.rle import Rle, decode_rle
from conversion.painting.raster import polygon_masks
from conversion.stuff.meanings import (
    NOT_STUFF,
    SILENT,
    UNKNOWN,
    Map,
    Meanings,
    translate,
)

_READING = 2  # increase it if the same files are read differently, so that photos are painted again


class _Segment(msgspec.Struct, omit_defaults=True):
    id: Annotated[int, msgspec.Meta(ge=1, lt=1 << 24)]
    category_id: Id
    score: float | None = None


class _Annotation(msgspec.Struct, omit_defaults=True):
    """The keys that determine the pixels: segments and their PNG, or one region."""

    file_name: str | None = None
    segments_info: list[_Segment] | None = None
    category_id: Id | None = None
    segmentation: Segmentation = None


@dataclass(frozen=True, eq=False)
class CocoStuff:
    """A COCO file; with `confidence`, segments with a lower score are SILENT."""

    index: CocoIndex
    meanings: dict[Id, int]
    pngs: Path
    confidence: float | None
    shared: frozenset[str]  # names without folders that several photos of the set have

    def summary(self) -> object:
        """Return what determines the meaning of pixels, except the entry of the photo."""
        return "coco", _READING, self.confidence, sorted(self.meanings.items(), key=str)

    def has(self, name: str) -> bool:
        """Return whether the file contains the photo `name`."""
        return self._find(name) is not None

    def _find(self, name: str) -> int | None:
        """Return the row of a photo; the ids of a prediction are not those of COCO photos."""
        return self.index.find(name, shared=self.shared, by_id=self.confidence is None)

    def inputs(self, name: str) -> tuple[Path | str, ...]:
        """Return the photo's own annotations, without ids that change if the file grows.

        `read` reports errors in them, for this photo only.
        """
        row = self._find(name)
        if row is None:
            return ()
        raw = self.index.annotations(row)
        try:
            annotations = self._decode(raw, name)
            pngs = [self._png(a.file_name) for a in annotations if a.file_name is not None]
        except InputError:
            return (b"\n".join(raw).decode(errors="replace"),)
        text = msgspec.json.encode((self.index.sizes[row].tolist(), annotations)).decode()
        return (text, *(png for png in pngs if png.is_file()))

    def read(self, name: str, shapes: Sequence[Shape], *, height: int, width: int) -> Map | None:
        """Read (H, W) uint16 meanings; return None if the file does not contain the photo."""
        row = self._find(name)
        if row is None:
            return None
        annotations = self._decode(self.index.annotations(row), name)
        where = f"{self.index.path}: {name}"
        stored = self.index.sizes[row].tolist()
        if stored not in ([0, 0], [height, width]):
            expected = f"{width}x{height} pixels, the size of the photo"
            raise InputError(f"{where}: expected {expected}, found {stored[1]}x{stored[0]}")
        if any(one.segments_info is not None for one in annotations):
            return self._read_segments(where, annotations, height=height, width=width)
        return self._read_regions(where, annotations, height=height, width=width)

    def _decode(self, raw: Sequence[bytes], name: str) -> list[_Annotation]:
        try:
            return [msgspec.json.decode(one, type=_Annotation, strict=False) for one in raw]
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{self.index.path}: annotations of {name}: {error}") from None

    def _png(self, file_name: str) -> Path:
        where = f"{self.index.path}: file_name"
        return find_file(self.pngs, file_name, where=where) or self.pngs / file_name

    def _meaning(self, category_id: Id | None, where: str) -> int:
        if category_id is None or category_id not in self.meanings:
            raise InputError(f"{where}: expected the id of a category, found {category_id!r}")
        return self.meanings[category_id]

    def _read_segments(
        self, where: str, annotations: Sequence[_Annotation], *, height: int, width: int
    ) -> Map:
        first = annotations[0]
        if len(annotations) != 1 or first.file_name is None or first.segments_info is None:
            raise InputError(f"{where}: expected one annotation with a PNG and segments")
        meanings: Meanings = {SILENT: SILENT}
        for segment in first.segments_info:
            meaning = self._meaning(segment.category_id, where)
            meanings[segment.id] = meaning if self._is_confident(segment, where) else SILENT
        png = self._png(first.file_name)
        ids = read_segment_ids(png, (height, width))
        result = translate(ids, meanings)
        if result.max() == UNKNOWN:
            unknown = np.unique(ids[result == UNKNOWN])[:5].tolist()
            raise InputError(f"{png}: has ids without a segment: {unknown}")
        return result

    def _is_confident(self, segment: _Segment, where: str) -> bool:
        if self.confidence is None:
            return True
        if segment.score is None:
            raise InputError(f"{where}: segment {segment.id}: expected a score, found none")
        return segment.score >= self.confidence

    def _read_regions(
        self, where: str, annotations: Sequence[_Annotation], *, height: int, width: int
    ) -> Map:
        """Paint the regions of a stuff JSON, later ones over earlier ones."""
        result = np.full((height, width), SILENT, np.uint16)
        for one in annotations:
            meaning = self._meaning(one.category_id, where)
            try:
                mask = _region(one, height=height, width=width)
            except InputError as error:
                raise InputError(f"{where}: {error}") from None
            mask.paint(result, meaning)
        return result


def _region(one: _Annotation, *, height: int, width: int) -> CroppedMask:
    if isinstance(one.segmentation, Rle):
        return decode_rle(one.segmentation, (height, width))
    polygons = [p for p in one.segmentation or [] if len(p) >= 6 and len(p) % 2 == 0]
    if not polygons or len(polygons) != len(one.segmentation or []):
        raise InputError("segmentation: expected an RLE, or polygons of 3 or more points")
    outlines = [np.array(polygon).reshape(-1, 2) for polygon in polygons]
    return union(polygon_masks(outlines, height=height, width=width))


def open_coco(
    path: Path, names: Mapping[str, int], *, confidence: float | None, shared: frozenset[str]
) -> CocoStuff:
    """Open a COCO file, whose things mean NOT_STUFF; raises InputError for other files."""
    index = open_index(path)
    meanings = {
        c.id: NOT_STUFF if c.isthing else names.get(c.name.strip(), NOT_STUFF)
        for c in index.categories
    }
    pngs = next((folder for folder in png_folders(path) if folder.is_dir()), path.parent)
    return CocoStuff(index, meanings, pngs, confidence, shared)
