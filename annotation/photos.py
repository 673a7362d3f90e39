"""Photos: their size as a person sees them, and which one an annotation speaks of."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal
from urllib.parse import unquote

from PIL import ExifTags, Image, UnidentifiedImageError

from annotation.dataset import Dataset
from annotation.files import InputError, inside

Image.MAX_IMAGE_PIXELS = None  # headers may say anything; who decodes looks at the size first
TURNED_ORIENTATIONS = {5, 6, 7, 8}  # EXIF orientations that swap width and height
Size = tuple[int, int]  # height, width in pixels


@dataclass(frozen=True)
class Header:
    """What a photo's first bytes say: `size` after its EXIF rotation, as Labelme shows it."""

    size: Size
    turned: bool  # whether that rotation swaps height and width


def read_header(path: Path) -> Header:
    """Read size and rotation of a photo; no pixel is decoded. InputError where it is none."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(ExifTags.Base.Orientation) in TURNED_ORIENTATIONS
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise InputError(f"{path}: cannot be read as a photo") from None
    return Header((width, height) if turned else (height, width), turned)


def photo_size(path: Path) -> Size:
    """Height and width of a photo in pixels, after its EXIF rotation; only the header is read."""
    return read_header(path).size


@dataclass(frozen=True)
class Found:
    """The photo of an annotation, or None with what was wrong.

    `how` it was found: where imagePath says, or elsewhere in the set by the name in imagePath, or
    by the name of the annotation's own file. `leaves` where imagePath leads out of the set.
    """

    photo: Path | None
    how: Literal["path", "name", "stem", "not"]
    leaves: bool = False
    candidates: tuple[Path, ...] = ()  # where several photos have the name


@dataclass(frozen=True)
class PhotoIndex:
    """All photos of a set, to be found by path or name; case and unicode form do not count."""

    dataset: Dataset
    photos: Sequence[Path]

    @cached_property
    def _by_path(self) -> dict[str, list[Path]]:
        return self._table(lambda relative: relative)

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        return self._table(lambda relative: relative.rpartition("/")[2])

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        return self._table(lambda relative: relative.rpartition(".")[0])

    def _table(self, key) -> dict[str, list[Path]]:  # type: ignore[no-untyped-def]
        table = defaultdict(list)
        for photo in self.photos:
            relative = str(photo)[len(str(self.dataset.images)) + 1 :].replace("\\", "/")
            table[fold(key(relative))].append(photo)
        return table

    def find(self, annotation: Path, image_path: str) -> Found:
        """Find the photo of an annotation whose `imagePath` is `image_path`.

        imagePath counts from the annotation's folder. Where nothing lies there, the photo of that
        name is taken wherever it is, then the one that is called like the annotation.
        """
        slashed = image_path.replace("\\", "/")
        stored = _stored(self.dataset, annotation, slashed)
        if stored is not None and (exact := self._by_path.get(fold(stored))):
            return Found(_same_case(exact, stored), "path")
        leaves = stored is None
        for name in dict.fromkeys((slashed, unquote(slashed))):
            near = self._by_name.get(fold(PurePosixPath(name).name), [])
            if best := _longest_tail(near, name):
                return Found(best, "name", leaves)
            if near:
                return Found(None, "not", leaves, tuple(near))
        stem = self.dataset.relative(annotation).partition("/")[2].rpartition(".")[0]
        twins = self._by_stem.get(fold(stem), [])
        return Found(twins[0], "stem", leaves) if len(twins) == 1 else Found(None, "not", leaves)


def fold(name: str) -> str:
    """A name without case and unicode form, which differ between systems."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def _stored(dataset: Dataset, annotation: Path, slashed: str) -> str | None:
    """imagePath as a path below `images/`; "" where it is none, None where it leaves the set."""
    if slashed.startswith("/") or PureWindowsPath(slashed).drive:
        return None
    folder = dataset.relative(annotation.parent)
    try:
        path = inside(dataset.root, f"{folder}/{slashed}", where="imagePath")
    except InputError:
        return None
    relative = dataset.relative(path)
    return relative.removeprefix("images/") if relative.startswith("images/") else ""


def _same_case(photos: list[Path], stored: str) -> Path:
    """The photo spelt just so, or the first of those that differ in case only."""
    return next((p for p in photos if str(p).endswith(stored)), photos[0])


def _longest_tail(photos: list[Path], name: str) -> Path | None:
    """The photo that shares the most folders with `name`; None where several do."""
    wanted = fold(name).split("/")[::-1]

    def shared(photo: Path) -> int:
        parts = [fold(part) for part in photo.parts[::-1]]
        pairs = zip(parts, wanted, strict=False)
        return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(parts), len(wanted)))

    best = max(map(shared, photos), default=0)
    nearest = [photo for photo in photos if shared(photo) == best]
    return nearest[0] if len(nearest) == 1 else None
