"""Bring photos into a data set: from folders, zip files, single photos and videos."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

from annotation.intake.cleaning import CleanPhoto, Frame, RefusedError, clean_frame, clean_photo
from annotation.intake.origins import (
    Alike,
    Origin,
    adopt_photos,
    append_record,
    find_alike,
    group_photos,
    read_groups,
    read_record,
    write_groups,
)
from annotation.intake.sources import FoundPhoto, open_source
from annotation.photos.listing import list_photos
from base.errors import InputError
from base.files import digest, write_bytes
from base.naming import Names, readable_stem
from base.progress import track


@dataclass(frozen=True)
class Refusal:
    """A photo that was not brought in, and why."""

    origin: str
    reason: str


@dataclass(frozen=True)
class Duplicate:
    """A photo that was skipped: `image`, in the set, has or had the same bytes or pixels.

    `same_source`: it is the very photo, seen again, or another frame of the same video.
    """

    origin: str
    image: str
    same_source: bool


@dataclass(frozen=True)
class Collected:
    """What one run did; `alike` has one entry for each added photo that looks like an earlier."""

    root: Path
    added: tuple[Origin, ...]
    duplicates: tuple[Duplicate, ...]
    alike: tuple[Alike, ...]
    refused: tuple[Refusal, ...]
    others: Mapping[str, int]  # files in the sources that are no photos, by suffix

    def lines(self) -> Iterator[str]:
        """What the command line says: a line for each photo that somebody may want to look at."""
        others = [one for one in self.duplicates if not one.same_source]
        yield (
            f"{self.root}: {len(self.added)} photos added, "
            f"{len(self.duplicates) - len(others)} were here already, "
            f"{len(others)} exact duplicates skipped, {len(self.refused)} refused"
        )
        yield from (f"duplicate: {one.origin} is {one.image}" for one in others)
        for pair in self.alike:
            if not pair.same_source:
                bits = f"{pair.distance} of 64 bits differ"
                yield f"looks alike: {pair.image} and {pair.earlier} ({bits})"
        for name, count in self._similar_frames().items():
            yield f"looks alike: {count} frames of {name} and an earlier one of it"
        yield from (f"refused: {one.origin}: {one.reason}" for one in self.refused)
        if self.others:
            files = ", ".join(f"{count} {suffix}" for suffix, count in sorted(self.others.items()))
            yield f"left alone, no photos: {files}"
        yield f"{self.root / 'photos.csv'}: where each came from; `group_by: photos.csv` uses it"

    def _similar_frames(self) -> Counter[str]:
        """By video: frames of one are expected to be alike, so they are counted, not listed."""
        source = {origin.image: origin.source for origin in self.added}
        return Counter(source[pair.image] for pair in self.alike if pair.same_source)


def collect(
    sources: Sequence[Path], root: Path, *, long_side: int | None = None, every: float = 1.0
) -> Collected:
    """Bring the photos of folders, zip files, single files and videos into `root/images/`.

    `long_side` limits the longer side in pixels, `every` is the time between video frames in
    seconds. Photos come out upright and without place data; near-duplicates share a group in
    `photos.csv`. A run that was stopped is completed by the same call. InputError where a source
    is missing, of an unknown kind or without photos; nothing is changed then.
    """
    _check_options(sources, root, long_side=long_side, every=every)
    opened = [open_source(path, every=every, dataset=root) for path in sources]
    table = read_groups(root)
    run = _Run.start(root, long_side)
    found = chain.from_iterable(source.photos() for source in opened)
    for photo in track(found, "collect", total=sum(source.count for source in opened)):
        run.bring_in(photo)
    links, alike = find_alike(run.origins)
    groups = group_photos(run.origins, table, links=links, shared=run.shared)
    write_groups(root, table, groups)
    new = {origin.image for origin in run.added}
    return Collected(
        root,
        tuple(run.added),
        tuple(run.duplicates),
        tuple(one for one in alike if one.image in new),
        tuple(run.refused),
        sum((Counter(source.others) for source in opened), Counter()),
    )


def _check_options(
    sources: Sequence[Path], root: Path, *, long_side: int | None, every: float
) -> None:
    if not sources:
        raise InputError("collect: expected at least one source, got none")
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: is a file; expected the folder of a data set")
    if long_side is not None and long_side < 1:
        raise InputError(f"long side: expected 1 pixel or more, got {long_side}")
    if not (every > 0 and math.isfinite(every)):
        raise InputError(f"every: expected more than 0 seconds, got {every}")


class _Run:
    """The set as it grows: its origins by digest, the names in use, and what happened so far."""

    def __init__(self, root: Path, long_side: int | None, origins: Sequence[Origin]) -> None:
        self.origins = list(origins)
        self.added: list[Origin] = []
        self.duplicates: list[Duplicate] = []
        self.refused: list[Refusal] = []
        self.shared: list[tuple[str, str]] = []  # sources that have a photo in common
        self._root, self._long_side = root, long_side
        self._by_digest: dict[str, Origin] = {}
        for origin in origins:
            self._know(origin)
        images = root / "images"
        self._names = Names(path.stem for path in (list_photos(images) if images.is_dir() else []))

    @classmethod
    def start(cls, root: Path, long_side: int | None) -> _Run:
        root.mkdir(parents=True, exist_ok=True)
        known = read_record(root)
        return cls(root, long_side, [*known, *adopt_photos(root, known)])

    def bring_in(self, found: FoundPhoto) -> None:
        """Add one photo, or note why not; nothing of it stays in memory."""
        try:
            content = found.load()
            original = _digest(content)
            if original in self._by_digest:
                self._skip(found, self._by_digest[original])
            else:
                self._add(found, original, _clean(content, self._long_side))
        except RefusedError as error:
            self.refused.append(Refusal(found.origin, str(error)))

    def _skip(self, found: FoundPhoto, known: Origin) -> None:
        same_source = known.source == found.group
        self.duplicates.append(Duplicate(found.origin, known.image, same_source))
        self.shared.append((known.source, found.group))

    def _add(self, found: FoundPhoto, original: str, photo: CleanPhoto) -> None:
        suffix = PurePosixPath(found.path).suffix.lower()
        suffix = suffix if suffix in photo.suffixes else photo.suffixes[0]  # a PNG called .jpg
        name = self._names.take(readable_stem(found.path)) + suffix
        origin = Origin(name, original, digest(photo.data), found.group, photo.likeness)
        append_record(self._root, origin)
        write_bytes(self._root / "images" / name, photo.data)
        self.origins.append(origin)
        self.added.append(origin)
        self._know(origin)

    def _know(self, origin: Origin) -> None:
        self._by_digest.setdefault(origin.original, origin)
        self._by_digest.setdefault(origin.stored, origin)


def _digest(content: bytes | Frame) -> str:
    """Of a file its bytes, of a frame its size and pixels: also known again in a copied video."""
    if isinstance(content, bytes):
        return digest(content)
    return digest(str(content.shape), content.tobytes())


def _clean(content: bytes | Frame, long_side: int | None) -> CleanPhoto:
    if isinstance(content, bytes):
        return clean_photo(content, long_side=long_side)
    return clean_frame(content, long_side=long_side)
