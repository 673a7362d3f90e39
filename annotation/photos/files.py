"""Photos: their size as a person sees them, and which one an annotation speaks of."""

from __future__ import annotations

import base64
import os
import posixpath
import unicodedata
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from annotation.dataset import Dataset, Paths
from annotation.intake.cleaning import MAX_BYTES, MAX_PIXELS, SUFFIXES
from annotation.labelme.decoding import known_words
from base.errors import InputError
from base.files import check_regular

Image.MAX_IMAGE_PIXELS = None  # headers may say anything; `open_photo` looks at the size
FORMATS = tuple(name for name in SUFFIXES if name != "MPO")  # which Pillow opens as a JPEG
TURNED_ORIENTATIONS = {5, 6, 7, 8}  # EXIF orientations that swap width and height
LONGEST_PATH = 4096  # characters; no system opens a longer one
_TAIL = 1 << 16  # bytes at the end of a PNG in which EXIF data may stand, as exiftool puts them
Size = tuple[int, int]  # height, width in pixels


@dataclass(frozen=True, slots=True)
class Header:
    """What a photo's first bytes say: `size` as Labelme shows it, after its EXIF rotation.

    `orientation` is EXIF's, 1 to 8. Labelme does not turn a TIFF, whatever that says.
    """

    size: Size
    orientation: int = 1
    tiff: bool = False

    @property
    def turned(self) -> bool:
        """Whether the rotation swaps height and width."""
        return self.orientation in TURNED_ORIENTATIONS and not self.tiff


def open_photo(source: Path | BytesIO) -> Image.Image:
    """Open a photo without decoding its pixels; InputError where it is none, or too large."""
    try:
        if isinstance(source, Path):
            check_regular(source, most_bytes=MAX_BYTES)
        image = Image.open(source, formats=FORMATS)
    except OSError as error:
        broken = isinstance(error, UnidentifiedImageError) or not error.strerror
        names = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        reason = f"is no {names} picture" if broken else str(error.strerror)
        raise InputError(f"cannot be read as a photo: {reason}") from None
    except InputError:
        raise
    except Exception as error:  # broken files make Pillow raise nearly anything
        raise InputError(f"cannot be read as a photo: {error}") from None
    width, height = image.size
    if width * height > MAX_PIXELS:
        image.close()
        raise InputError(f"{width}x{height} pixels; at most {MAX_PIXELS:,} can be opened")
    return image


def open_embedded(image_data: str) -> Image.Image:
    """Open the picture in imageData, which Labelme shows as it is stored, unturned."""
    try:
        data = base64.b64decode(image_data)
    except ValueError:
        raise InputError("cannot be read as a photo: is no base64") from None
    return open_photo(BytesIO(data))


def read_orientation(image: Image.Image) -> int:
    """EXIF orientation of an opened photo, 1 to 8; 1 where there is none, or it is broken.

    Like Labelme and OpenCV, unlike Pillow, it does not look into XMP.
    """
    value: Any = 1
    try:
        if image.format == "PNG" and "exif" not in image.info and _has_late_exif(image):
            image.load()  # Pillow finds it behind the pixels only
        if image.format == "TIFF":
            value = image.getexif().get(ExifTags.Base.Orientation)
        elif data := image.info.get("exif"):
            exif = Image.Exif()
            exif.load(data)
            value = exif.get(ExifTags.Base.Orientation)
    except Exception:  # broken EXIF data make Pillow raise nearly anything
        return 1
    return int(value) if value in range(1, 9) else 1


def _has_late_exif(image: Image.Image) -> bool:
    file = image.fp  # type: ignore[attr-defined]
    place = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _TAIL))
    found = b"eXIf" in file.read()
    file.seek(place)
    return bool(found)


def read_header(path: Path) -> Header:
    """Read size and rotation of a photo; InputError where it is none, or too large."""
    try:
        with open_photo(path) as image:
            orientation = read_orientation(image)
            width, height = image.size
            tiff = image.format == "TIFF"
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    # Pillow gives the turned size of a TIFF, but the stored one of all others
    swapped = orientation in TURNED_ORIENTATIONS
    return Header((width, height) if swapped else (height, width), orientation, tiff)


def photo_size(path: Path) -> Size:
    """Height and width of a photo in pixels, after its EXIF rotation; only the header is read."""
    return read_header(path).size


@dataclass(frozen=True, slots=True)
class Found:
    """The photo of an annotation, or None with what was wrong.

    `how` it was found: where imagePath says, or elsewhere in the set by the name in imagePath, or
    by the name of the annotation's own file. `leaves` where imagePath leads out of the set.
    """

    photo: Path | None
    how: Literal["path", "name", "stem", "not"]
    leaves: bool = False
    candidates: tuple[Path, ...] = ()  # where several photos have the name


class _Lookup:
    """Photos by a part of their path: by hashes, as the names would take ten times the memory."""

    def __init__(self, folder: Path, photos: Paths, part: Callable[[str], str]) -> None:
        self._folder, self._photos, self._part = str(folder), photos, part
        hashes = np.fromiter((_hash(self._key(text)) for text in photos.texts), np.uint32)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def _key(self, photo: str) -> str:
        return fold(self._part(_below(self._folder, photo)))

    def of(self, wanted: str) -> list[Path]:
        """All photos whose part is `wanted`, folded, in their order."""
        hashed = np.uint32(_hash(wanted))
        first, last = (np.searchsorted(self._hashes, hashed, side) for side in ("left", "right"))
        found = map(int, self._order[first:last])
        return [self._photos[n] for n in found if self._key(self._photos.texts[n]) == wanted]


def _hash(key: str) -> int:
    return zlib.crc32(key.encode("utf-8", "surrogatepass"))


def _last_part(below: str) -> str:
    return below.rpartition("/")[2]


def _but_suffix(below: str) -> str:
    return below.rpartition(".")[0]


@dataclass(frozen=True)
class PhotoIndex:
    """All photos of a set, to be found by path or name; case and unicode form do not count."""

    dataset: Dataset
    photos: Paths

    @cached_property
    def known_words(self) -> frozenset[str]:
        """Labels and names of photos that tell one Windows code page from another."""
        names = map(os.path.basename, self.photos.texts)
        return known_words([*self.dataset.config.labels, *names])

    @cached_property
    def _rooms(self) -> dict[str, str]:
        return {room.name: str(room) for room in (self.dataset.labelme, self.dataset.images)}

    @cached_property
    def _by_path(self) -> _Lookup:
        return _Lookup(self.dataset.images, self.photos, str)

    @cached_property
    def _by_name(self) -> _Lookup:
        return _Lookup(self.dataset.images, self.photos, _last_part)

    @cached_property
    def _by_stem(self) -> _Lookup:
        return _Lookup(self.dataset.images, self.photos, _but_suffix)

    def find(self, annotation: Path, image_path: str) -> Found:
        """Find the photo of an annotation whose `imagePath` is `image_path`.

        imagePath counts from the annotation's folder. Where nothing lies there, the photo of that
        name is taken wherever it is, then the one that is called like the annotation.
        """
        slashed = image_path[: LONGEST_PATH + 1].replace("\\", "/")
        room, inner = self._place(annotation)
        stored = _stored(f"{room}/{posixpath.dirname(inner)}", slashed)
        if stored and (exact := self._by_path.of(fold(stored))):
            return Found(_same_case(exact, stored), "path")
        leaves = stored is None
        for name in dict.fromkeys((slashed, unquote(slashed))):
            near = self._by_name.of(fold(PurePosixPath(name).name))
            if best := _longest_tail(near, name):
                return Found(best, "name", leaves)
            if near:
                return Found(None, "not", leaves, tuple(near))
        twins = self._by_stem.of(fold(_but_suffix(inner)))
        return Found(twins[0], "stem", leaves) if len(twins) == 1 else Found(None, "not", leaves)

    def _place(self, annotation: Path) -> tuple[str, str]:
        """The room of an annotation, images or labelme, and its path below that."""
        text = str(annotation)
        for room, folder in self._rooms.items():
            if text.startswith(f"{folder}{os.sep}"):
                return room, _below(folder, text)
        room_name, _, inner = self.dataset.relative(annotation).partition("/")
        return room_name, inner


def _below(folder: str, path: str) -> str:
    """A path below a folder, with slashes; several times faster than `relative_to`."""
    return path[len(folder) + 1 :].replace("\\", "/")


def fold(name: str) -> str:
    """A name without case and unicode form, which differ between systems."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def _stored(folder: str, slashed: str) -> str | None:
    """imagePath as a path below `images/`; "" where it is none, None where it leaves the set."""
    if len(slashed) > LONGEST_PATH or "\0" in slashed:
        return ""
    path = posixpath.normpath(f"{folder}/{slashed}")
    drive = slashed[1:2] == ":" and slashed[0].isalpha()
    if slashed.startswith("/") or drive or path.split("/")[0] == "..":
        return None
    return path.removeprefix("images/") if path.startswith("images/") else ""


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

    counts = [shared(photo) for photo in photos]
    best = max(counts, default=0)
    return photos[counts.index(best)] if counts.count(best) == 1 else None
