"""Collect photos from folders, zip files, single files and videos into a data set."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

from annotation.intake.adopting import FoundAnnotation, adopt_annotation
from annotation.intake.cleaning import CleanPhoto, Frame, RefusedError, clean_frame, clean_photo
from annotation.intake.origins import (
    NearDuplicate,
    Origin,
    append_origin,
    find_near_duplicates,
    group_photos,
    read_groups,
    read_origins,
    record_other_photos,
    write_groups,
)
from annotation.intake.sources import Source, SourcePhoto, open_source
from annotation.photos.flat import check_not_flat
from annotation.photos.listing import list_photos
from base.counting import counted
from base.errors import InputError
from base.files import digest, write_bytes
from base.locks import working_on
from base.naming import Names, readable_stem
from base.progress import track


@dataclass(frozen=True)
class RefusedPhoto:
    """A photo that was not added, and why."""

    origin: str
    reason: str


@dataclass(frozen=True)
class Duplicate:
    """A photo that was skipped because `image` in the set was made from the same bytes or pixels.

    `same_source`: it is the same file or a frame of the same video.
    """

    origin: str
    image: str
    same_source: bool


@dataclass(frozen=True)
class Collected:
    """The result of one run.

    `near_duplicates` has one entry for each added photo that looks like an earlier one,
    `other_files` counts the files in the sources that are not photos, by suffix, and `adopted` the
    annotations that were copied with their photos.
    """

    root: Path
    added: tuple[Origin, ...]
    duplicates: tuple[Duplicate, ...]
    near_duplicates: tuple[NearDuplicate, ...]
    refused: tuple[RefusedPhoto, ...]
    other_files: Mapping[str, int]
    adopted: int = 0

    def lines(self) -> Iterator[str]:
        """Yield a summary, and a line for each photo that a person may want to check."""
        others = [one for one in self.duplicates if not one.same_source]
        yield (
            f"{self.root}: {counted(len(self.added), 'photo')} added, "
            f"{len(self.duplicates) - len(others):,} already present, "
            f"{counted(len(others), 'exact duplicate')} skipped, {len(self.refused):,} refused"
        )
        if self.adopted:
            copied = counted(self.adopted, "annotation")
            yield f"{self.root / 'labelme'}: {copied} copied with the photos"
        yield from (f"duplicate: {one.origin} is the same as {one.image}" for one in others)
        for pair in self.near_duplicates:
            if not pair.same_source:
                bits = f"{pair.distance} of 64 bits differ"
                yield f"similar: {pair.image} and {pair.earlier} ({bits})"
        for name, count in self._similar_frames().items():
            yield f"similar to earlier frames: {count} of {name}"
        yield from (f"refused: {one.origin}: {one.reason}" for one in self.refused)
        if self.other_files:
            counts = sorted(self.other_files.items())
            files = ", ".join(f"{count} {suffix}" for suffix, count in counts)
            yield f"skipped files that are not photos: {files}"
        table = self.root / "photos.csv"
        yield f"{table}: the source of each photo; used by `group_by: photos.csv`"

    def _similar_frames(self) -> Counter[str]:
        """Count the similar frames of each video; they are expected, so they are not listed."""
        source = {origin.image: origin.source for origin in self.added}
        return Counter(source[pair.image] for pair in self.near_duplicates if pair.same_source)


def collect(
    sources: Sequence[Path], root: Path, *, long_side: int | None = None, every: float = 1.0
) -> Collected:
    """Copy the photos of folders, zip files, single files and videos into `root/images/`.

    `long_side` limits the longer side in pixels, `every` is the time between video frames in
    seconds. The EXIF rotation is applied, location metadata is removed, and near-duplicates share a
    group in `photos.csv`. Labelme files with the names of the photos are copied to `root/labelme/`,
    unless the set has an annotation of the photo already. The same call completes a run that was
    interrupted. Raises InputError, before anything is changed, if a source is missing, of an
    unknown kind or without photos, or if the set is flat.
    """
    _check_options(sources, root, long_side=long_side, every=every)
    check_not_flat(root)
    opened = [open_source(path, every=every, dataset=root) for path in sources]
    with working_on(root, "collect"):
        return _collect(opened, root, long_side)


def _collect(opened: Sequence[Source], root: Path, long_side: int | None) -> Collected:
    table = read_groups(root)
    run = _Run.start(root, long_side)
    found = chain.from_iterable(source.photos() for source in opened)
    for photo in track(found, "collect", total=sum(source.count for source in opened)):
        run.add(photo)
    links, alike = find_near_duplicates(run.origins)
    groups = group_photos(run.origins, table, links=links, shared=run.shared)
    write_groups(root, table, groups)
    new = {origin.image for origin in run.added}
    return Collected(
        root,
        tuple(run.added),
        tuple(run.duplicates),
        tuple(one for one in alike if one.image in new),
        tuple(run.refused),
        sum((Counter(source.other_files) for source in opened), Counter()),
        run.adopted,
    )


def _check_options(
    sources: Sequence[Path], root: Path, *, long_side: int | None, every: float
) -> None:
    if not sources:
        raise InputError("collect: expected at least one source, found none")
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: expected the folder of a data set, found a file")
    if long_side is not None and long_side < 1:
        raise InputError(f"--long-side: expected 1 pixel or more, found {long_side}")
    if not (every > 0 and math.isfinite(every)):
        raise InputError(f"--every: expected more than 0 seconds, found {every}")


class _Run:
    """The state of one run: the known origins by digest, the names in use, the results so far."""

    def __init__(self, root: Path, long_side: int | None, origins: Sequence[Origin]) -> None:
        self.origins = list(origins)
        self.added: list[Origin] = []
        self.duplicates: list[Duplicate] = []
        self.refused: list[RefusedPhoto] = []
        self.adopted = 0
        self.shared: list[tuple[str, str]] = []  # sources that have a photo in common
        self._root, self._long_side = root, long_side
        self._by_digest: dict[str, Origin] = {}
        for origin in origins:
            self._remember(origin)
        images = root / "images"
        self._names = Names(path.stem for path in (list_photos(images) if images.is_dir() else []))

    @classmethod
    def start(cls, root: Path, long_side: int | None) -> _Run:
        root.mkdir(parents=True, exist_ok=True)
        known = read_origins(root)
        return cls(root, long_side, [*known, *record_other_photos(root, known)])

    def add(self, found: SourcePhoto) -> None:
        """Add one photo, or note why it is skipped or refused; its data is not kept in memory."""
        try:
            content = found.load()
            original = _digest(content)
            if original in self._by_digest:
                self._skip(found, self._by_digest[original])
            else:
                self._store(found, original, _clean(content, self._long_side))
            if found.annotation is not None and isinstance(content, bytes):
                self._adopt(found, found.annotation, self._by_digest[original].image, content)
        except RefusedError as error:
            self.refused.append(RefusedPhoto(found.origin, str(error)))

    def _adopt(
        self, found: SourcePhoto, annotation: FoundAnnotation, image: str, photo: bytes
    ) -> None:
        try:
            data = found.load_annotation()
            self.adopted += adopt_annotation(self._root, image, data, photo, annotation)
        except (RefusedError, InputError) as error:
            why = str(error).removeprefix(f"{annotation.path}: ")
            self.refused.append(RefusedPhoto(annotation.path, f"{why}; the photo was added"))

    def _skip(self, found: SourcePhoto, known: Origin) -> None:
        same_source = known.source == found.group
        self.duplicates.append(Duplicate(found.origin, known.image, same_source))
        self.shared.append((known.source, found.group))

    def _store(self, found: SourcePhoto, original: str, photo: CleanPhoto) -> None:
        suffix = PurePosixPath(found.path).suffix.lower()
        if suffix not in photo.suffixes:  # such as a PNG named .jpg
            suffix = photo.suffixes[0]
        name = self._names.take(readable_stem(found.path)) + suffix
        origin = Origin(name, original, digest(photo.data), found.group, photo.likeness)
        append_origin(self._root, origin)
        write_bytes(self._root / "images" / name, photo.data, durable=True)
        self.origins.append(origin)
        self.added.append(origin)
        self._remember(origin)

    def _remember(self, origin: Origin) -> None:
        self._by_digest.setdefault(origin.original, origin)
        self._by_digest.setdefault(origin.stored, origin)


def _digest(content: bytes | Frame) -> str:
    """Hash the bytes of a file, or the size and pixels of a frame, which are equal in a copy."""
    if isinstance(content, bytes):
        return digest(content)
    return digest(str(content.shape), content.tobytes())


def _clean(content: bytes | Frame, long_side: int | None) -> CleanPhoto:
    if isinstance(content, bytes):
        return clean_photo(content, long_side=long_side)
    return clean_frame(content, long_side=long_side)
