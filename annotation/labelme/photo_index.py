"""Finding the photo that an annotation refers to."""

from __future__ import annotations

import os
import posixpath
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import unquote

import numpy as np

from annotation.dataset import Dataset
from annotation.labelme.decoding import known_words
from annotation.photos.flat import files_in
from annotation.photos.listing import OTHER_SUFFIXES, Paths, list_files
from base.naming import fold

LONGEST_PATH = 4096  # characters; Linux cannot open longer paths


@dataclass(frozen=True, slots=True)
class Found:
    """The photo of an annotation, or None if it was not found.

    `how` says how it was found: at imagePath, elsewhere in the set by the name in imagePath, or
    by the name of the annotation file. `leaves`: imagePath points outside the set. `unsupported` is
    a picture with that name whose format is not supported, if no photo was found.
    """

    photo: Path | None
    how: Literal["path", "name", "stem", "not"]
    leaves: bool = False
    candidates: tuple[Path, ...] = ()  # if several photos have the name
    unsupported: Path | None = None


class _Lookup:
    """Photos by a part of their path, stored as hashes: names would take ten times the memory."""

    def __init__(self, folder: Path, photos: Paths, part: Callable[[str], str]) -> None:
        self._folder, self._photos, self._part = str(folder), photos, part
        hashes = np.fromiter((_hash(self._key(text)) for text in photos.texts), np.uint32)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def _key(self, photo: str) -> str:
        return fold(self._part(_below(self._folder, photo)))

    def find(self, wanted: str) -> list[Path]:
        """Return all photos whose folded part of the path equals `wanted`, in order."""
        hashed = np.uint32(_hash(wanted))
        first, last = (np.searchsorted(self._hashes, hashed, side) for side in ("left", "right"))
        found = map(int, self._order[first:last])
        return [self._photos[n] for n in found if self._key(self._photos.texts[n]) == wanted]


def _hash(key: str) -> int:
    return zlib.crc32(key.encode("utf-8", "surrogatepass"))


def _last_part(below: str) -> str:
    return below.rpartition("/")[2]


def _without_suffix(below: str) -> str:
    return below.rpartition(".")[0]


def _stem(below: str) -> str:
    return _without_suffix(_last_part(below))


@dataclass(frozen=True)
class PhotoIndex:
    """All photos of a set, found by path or name regardless of case and Unicode form."""

    dataset: Dataset
    photos: Paths

    @cached_property
    def known_words(self) -> frozenset[str]:
        """Labels and photo names that help to tell Windows code pages apart."""
        names = map(os.path.basename, self.photos.texts)
        return known_words([*self.dataset.config.labels, *names])

    @cached_property
    def _folders(self) -> dict[str, str]:
        return {"labelme": str(self.dataset.labelme), "images": str(self.dataset.images)}

    @cached_property
    def unsupported(self) -> Paths:
        """The pictures in `images/` whose format is not supported."""
        if self.dataset.is_flat:
            return files_in(self.dataset.root, OTHER_SUFFIXES)
        return list_files(OTHER_SUFFIXES, self.dataset.images)

    @cached_property
    def _by_path(self) -> _Lookup:
        return _Lookup(self.dataset.images, self.photos, str)

    @cached_property
    def _by_name(self) -> _Lookup:
        return _Lookup(self.dataset.images, self.photos, _last_part)

    @cached_property
    def _by_stem(self) -> _Lookup:
        return _Lookup(self.dataset.images, self.photos, _without_suffix)

    @cached_property
    def _unsupported_by_stem(self) -> _Lookup:
        return _Lookup(self.dataset.images, self.unsupported, _stem)

    def find(self, annotation: Path, image_path: str) -> Found:
        """Find the photo of an annotation whose `imagePath` is `image_path`.

        imagePath is relative to the annotation's folder. If there is no photo at that path, the
        photo with that name is used, wherever it is in the set, or else the photo with the same
        stem as the annotation file.
        """
        slashed = image_path[: LONGEST_PATH + 1].replace("\\", "/")
        folder, inner = self._split(annotation)
        stored = _path_below_images(f"{folder}/{posixpath.dirname(inner)}", slashed)
        if stored and (exact := self._by_path.find(fold(stored))):
            return Found(_same_case(exact, stored), "path")
        leaves = stored is None
        for name in dict.fromkeys((slashed, unquote(slashed))):
            namesakes = self._by_name.find(fold(PurePosixPath(name).name))
            if best := longest_common_end(namesakes, name):
                return Found(best, "name", leaves)
            if namesakes:
                return Found(None, "not", leaves, tuple(namesakes))
        same_stem = self._by_stem.find(fold(_without_suffix(inner)))
        if len(same_stem) == 1:
            return Found(same_stem[0], "stem", leaves)
        return Found(None, "not", leaves, unsupported=self._unsupported(slashed, inner))

    def _unsupported(self, slashed: str, inner: str) -> Path | None:
        """Return the unsupported picture with the name in imagePath or that of the annotation."""
        wanted = {fold(_stem(name)) for name in (slashed, inner)}
        pictures = (one for stem in wanted for one in self._unsupported_by_stem.find(stem))
        return min(pictures, default=None)

    def _split(self, annotation: Path) -> tuple[str, str]:
        """Split a path into the set's folder, images or labelme, and the path below it."""
        text = str(annotation)
        for name, folder in self._folders.items():
            if text.startswith(f"{folder}{os.sep}"):
                return name, _below(folder, text)
        name, _, inner = self.dataset.relative(annotation).partition("/")
        return name, inner


def _below(folder: str, path: str) -> str:
    """Return a path relative to a folder, with slashes; several times faster than `relative_to`."""
    return path[len(folder) + 1 :].replace("\\", "/")


def _path_below_images(folder: str, slashed: str) -> str | None:
    """Return imagePath relative to `images/`; "" if it is elsewhere, None if outside the set."""
    if len(slashed) > LONGEST_PATH or "\0" in slashed:
        return ""
    path = posixpath.normpath(f"{folder}/{slashed}")
    drive = slashed[1:2] == ":" and slashed[0].isalpha()
    if slashed.startswith("/") or drive or path.split("/")[0] == "..":
        return None
    return path.removeprefix("images/") if path.startswith("images/") else ""


def _same_case(photos: list[Path], stored: str) -> Path:
    """Return the photo with exactly this spelling, or the first that differs only in case."""
    return next((p for p in photos if str(p).endswith(stored)), photos[0])


def longest_common_end(photos: list[Path], name: str) -> Path | None:
    """Return the photo that shares the most parent folders with `name`; None if several do."""
    wanted = fold(name).split("/")[::-1]

    def shared(photo: Path) -> int:
        parts = [fold(part) for part in photo.parts[::-1]]
        pairs = zip(parts, wanted, strict=False)
        return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(parts), len(wanted)))

    counts = [shared(photo) for photo in photos]
    best = max(counts, default=0)
    return photos[counts.index(best)] if counts.count(best) == 1 else None
