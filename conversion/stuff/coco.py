"""Stuff from COCO files: panoptic sets, predictions among them, and COCO's stuff JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from annotation.labelme.annotation import Shape
from base.errors import InputError
from base.files import inside
from conversion.coco.cropped_mask import CroppedMask, union
from conversion.coco.file import Id
from conversion.coco.panoptic import png_folders
from conversion.coco.png import read_segment_ids
from conversion.coco.rle import Rle, decode_rle
from conversion.painting.raster import polygon_masks
from conversion.stuff.index import CocoIndex, open_index
from conversion.stuff.meanings import (
    NOT_STUFF,
    SILENT,
    UNKNOWN,
    Map,
    Meanings,
    translate,
)

Coordinate = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]


class _Segment(msgspec.Struct, omit_defaults=True):
    id: Annotated[int, msgspec.Meta(ge=1, lt=1 << 24)]
    category_id: Id
    score: float | None = None


class _Annotation(msgspec.Struct, omit_defaults=True):
    """What decides the pixels: segments and their PNG, or one region."""

    file_name: str | None = None
    segments_info: list[_Segment] | None = None
    category_id: Id | None = None
    segmentation: list[list[Coordinate]] | Rle | None = None


@dataclass(frozen=True, eq=False)
class CocoStuff:
    """A COCO file; with `confidence`, segments of a lower score are SILENT."""

    index: CocoIndex
    meanings: dict[Id, int]
    pngs: Path
    confidence: float | None
    shared: frozenset[str]  # names without folders that several photos of the set have

    def summary(self) -> object:
        """All but the photo's own entry that decides what the pixels mean."""
        return "coco", self.confidence, sorted(self.meanings.items(), key=str)

    def _find(self, name: str) -> int | None:
        """The photo's row; ids of a prediction are its own, not COCO's."""
        return self.index.find(name, shared=self.shared, by_id=self.confidence is None)

    def inputs(self, name: str) -> tuple[Path | str, ...]:
        """The photo's own annotations, without the ids that a longer file would change.

        What is wrong with them is for `read` to say, of this photo only.
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
        """(H, W) uint16 meanings; None where the file has no such photo."""
        row = self._find(name)
        if row is None:
            return None
        annotations = self._decode(self.index.annotations(row), name)
        where = f"{self.index.path}: {name}"
        stored = self.index.sizes[row].tolist()
        if stored not in ([0, 0], [height, width]):
            got = f"{stored[1]}x{stored[0]}"
            raise InputError(f"{where}: expected {width}x{height} pixels as the photo, got {got}")
        if any(one.segments_info is not None for one in annotations):
            return self._read_segments(where, annotations, height=height, width=width)
        return self._read_regions(where, annotations, height=height, width=width)

    def _decode(self, raw: Sequence[bytes], name: str) -> list[_Annotation]:
        try:
            return [msgspec.json.decode(one, type=_Annotation) for one in raw]
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{self.index.path}: annotations of {name}: {error}") from None

    def _png(self, file_name: str) -> Path:
        return inside(self.pngs, file_name, where=f"{self.index.path}: file_name")

    def _meaning(self, category_id: Id | None, where: str) -> int:
        if category_id is None or category_id not in self.meanings:
            raise InputError(f"{where}: category_id {category_id!r} is not among the categories")
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
            meanings[segment.id] = meaning if self._counts(segment, where) else SILENT
        png = self._png(first.file_name)
        ids = read_segment_ids(png, (height, width))
        result = translate(ids, meanings)
        if result.max() == UNKNOWN:
            strange = np.unique(ids[result == UNKNOWN])[:5].tolist()
            raise InputError(f"{png}: has ids without a segment: {strange}")
        return result

    def _counts(self, segment: _Segment, where: str) -> bool:
        if self.confidence is None:
            return True
        if segment.score is None:
            raise InputError(f"{where}: segment {segment.id}: a prediction needs a score, got none")
        return segment.score >= self.confidence

    def _read_regions(
        self, where: str, annotations: Sequence[_Annotation], *, height: int, width: int
    ) -> Map:
        """Regions as COCO's stuff JSON has them, later ones over earlier ones."""
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
        raise InputError("segmentation: expected an RLE, or polygons of 3 and more points")
    outlines = [np.array(polygon).reshape(-1, 2) for polygon in polygons]
    return union(polygon_masks(outlines, height=height, width=width))


def open_coco(
    path: Path, names: Mapping[str, int], *, confidence: float | None, shared: frozenset[str]
) -> CocoStuff:
    """Open a COCO file; InputError where it is none. What it calls a thing is NOT_STUFF."""
    index = open_index(path)
    meanings = {
        c.id: NOT_STUFF if c.isthing else names.get(c.name.strip(), NOT_STUFF)
        for c in index.categories
    }
    pngs = next((folder for folder in png_folders(path) if folder.is_dir()), path.parent)
    return CocoStuff(index, meanings, pngs, confidence, shared)
