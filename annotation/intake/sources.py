"""The sources of photos: folders, zip files, single photos and videos."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath, PurePosixPath

import cv2
import numpy as np

from annotation.intake.adopting import FoundAnnotation, find_annotations
from annotation.intake.cleaning import Frame, RefusedError
from annotation.photos.files import MAX_BYTES, check_size
from annotation.photos.listing import PHOTO_SUFFIXES
from base.errors import InputError
from base.files import open_regular
from base.naming import path_parts, printable

VIDEO_SUFFIXES = {".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".3gp", ".mts"}


@dataclass(frozen=True)
class SourcePhoto:
    """A photo file or video frame in a source, before it is read.

    `origin` tells people where it is. Its name in the set is made from `path`, its path in the
    source. Photos with the same `group` belong in one split. `load` raises RefusedError if it
    cannot be read. `annotation` is a file of the same name that may be its annotation, or None;
    `load_annotation` reads it and raises the same error.
    """

    origin: str
    path: str
    group: str
    load: Callable[[], bytes | Frame]
    annotation: FoundAnnotation | None = None
    load_annotation: Callable[[], bytes] = bytes


@dataclass(frozen=True)
class Source:
    """The contents of one source: about `count` photos, and the other files counted by suffix."""

    count: int
    other_files: Mapping[str, int]
    photos: Callable[[], Iterator[SourcePhoto]]


def open_source(path: Path, *, every: float, dataset: Path) -> Source:
    """List the photos of a source, with `every` seconds between the frames of a video.

    Raises InputError if the source is missing, inside the set `dataset`, of an unknown kind, or
    without photos.
    """
    suffix = path.suffix.lower() if path.is_file() else ""
    if not path.exists():
        raise InputError(f"{path}: expected a folder, zip file, photo or video, found nothing")
    if path.resolve().is_relative_to(dataset.resolve()):
        raise InputError(f"{path}: is inside the data set {dataset} itself")
    if path.is_dir():
        return _open_folder(path, dataset.resolve())
    if suffix == ".zip":
        return _open_zip(path)
    if suffix in VIDEO_SUFFIXES:
        return Source(_count_frames(path, every), {}, partial(_frames, path, every))
    if suffix in PHOTO_SUFFIXES:
        beside = find_annotations([path.name], [one.name for one in path.parent.iterdir()])
        return Source(1, {}, lambda: iter([_photo_file(path.parent, path.name, beside)]))
    known = " ".join(sorted({*PHOTO_SUFFIXES, *VIDEO_SUFFIXES}))
    found = printable(suffix) or "no suffix"
    raise InputError(
        f"{path}: expected a folder, zip file, photo or video ({known}), found {found}"
    )


def _is_drawn(parts: Sequence[str]) -> bool:
    """Return whether a file of a data set is a photo or an annotation, not built from them."""
    return len(parts) == 1 or parts[0] in ("images", "labelme")


def _open_folder(folder: Path, dataset: Path) -> Source:
    is_set = (folder / "dataset.yaml").is_file()
    files = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if not _is_hidden(path.relative_to(folder).parts)
        and path.is_file()
        and not path.resolve().is_relative_to(dataset)
        and (not is_set or _is_drawn(path.relative_to(folder).parts))
    )
    photos = [path.as_posix() for path in files if path.suffix.lower() in PHOTO_SUFFIXES]
    found = find_annotations(photos, (path.as_posix() for path in files))
    other_files = _other_files(files, found)
    _check_any(folder, photos, other_files)
    return Source(
        len(photos), other_files, lambda: (_photo_file(folder, photo, found) for photo in photos)
    )


def _photo_file(folder: Path, name: str, annotations: Mapping[str, FoundAnnotation]) -> SourcePhoto:
    origin, load = printable((folder / name).as_posix()), partial(_read_file, folder / name)
    if (found := annotations.get(name)) is None:
        return SourcePhoto(origin, name, origin, load)
    return SourcePhoto(origin, name, origin, load, found, partial(_read_file, folder / found.path))


def _read_file(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)  # the size of a file may change while it is read
    except OSError as error:
        raise RefusedError(f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise RefusedError(f"{_megabytes(path.stat().st_size)}; {_limit()}")
    return data


def _open_zip(path: Path) -> Source:
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted(archive.infolist(), key=lambda member: member.filename)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as a zip file: {error}") from None
    files = [m for m in members if not m.is_dir() and not _is_hidden(path_parts(m.filename))]
    photos = [m for m in files if _suffix(m.filename) in PHOTO_SUFFIXES]
    found = find_annotations((m.filename for m in photos), (m.filename for m in files))
    other_files = _other_files((PurePosixPath(m.filename) for m in files), found)
    _check_any(path, photos, other_files)
    return Source(len(photos), other_files, partial(_members, path, photos, found))


def _members(
    path: Path, members: Iterable[zipfile.ZipInfo], annotations: Mapping[str, FoundAnnotation]
) -> Iterator[SourcePhoto]:
    """Yield the photos of a zip file. Their names are never used as paths to write to."""
    with zipfile.ZipFile(path) as archive:
        for member in members:
            name = member.filename
            origin = printable(f"{path.as_posix()}/{name}")
            load = partial(_read_member, archive, member)
            if (found := annotations.get(name)) is None:
                yield SourcePhoto(origin, name, origin, load)
            else:
                load_found = partial(_read_member, archive, archive.getinfo(found.path))
                yield SourcePhoto(origin, name, origin, load, found, load_found)


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Read a member. No more than its declared size is unpacked, which is limited here."""
    if stat.S_ISLNK(member.external_attr >> 16):
        raise RefusedError("is a symbolic link, not a photo")
    if member.flag_bits & 1:
        raise RefusedError("is encrypted")
    if member.file_size > MAX_BYTES:
        raise RefusedError(f"{_megabytes(member.file_size)} unpacked; {_limit()}")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # Python unpacks other methods without a limit: a few bytes of bzip2 become gigabytes.
        raise RefusedError("is compressed by a method other than stored or deflated")
    try:
        with archive.open(member) as file:
            data = file.read()
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise RefusedError(f"is damaged: {error}") from None
    except (RuntimeError, ValueError) as error:
        raise RefusedError(f"cannot be unpacked: {error}") from None
    if len(data) != member.file_size:
        raise RefusedError(f"expected {member.file_size} bytes unpacked, found {len(data)}")
    return data


def _count_frames(path: Path, every: float) -> int:
    """Estimate the number of frames to take; the header of a video may be wrong."""
    video = _open_video(path)
    rate, frames = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)
    video.release()
    return max(1, int(frames / rate / every)) if rate > 0 else 1


def _frames(path: Path, every: float) -> Iterator[SourcePhoto]:
    """Yield an upright frame every `every` seconds, or one refused photo if there are none."""
    group = printable(path.as_posix())
    video = _open_video(path)
    try:
        check_size(
            *(int(video.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        )
    except InputError as error:
        yield SourcePhoto(group, path.name, group, partial(_refuse, str(error)))
        return
    taken = 0
    for time, frame in _timed_frames(video, every):
        name = f"{path.stem}_{round(time * 1000):09d}ms.jpg"  # contains no dot, and sorts by time
        yield SourcePhoto(f"{group} at {time:.3f} s", name, group, partial(_identity, frame))
        taken += 1
    video.release()
    if not taken:
        yield SourcePhoto(group, path.name, group, partial(_refuse, "no frame can be decoded"))


def _open_video(path: Path) -> cv2.VideoCapture:
    # The path is absolute, because FFmpeg reads `name:rest` as a protocol.
    video = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
    video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # as a video player shows them
    return video


def _timed_frames(video: cv2.VideoCapture, every: float) -> Iterator[tuple[float, Frame]]:
    """Yield the time in seconds and the first frame, (H, W, 3) BGR, of each interval.

    All frames are decoded in order, because seeking ends at the nearest key frame in many videos.
    """
    rate, number, step = video.get(cv2.CAP_PROP_FPS), 0, 0
    while video.grab():
        stamp = video.get(cv2.CAP_PROP_POS_MSEC) / 1000
        time = stamp if stamp > 0 or rate <= 0 else number / rate  # some files have no time stamps
        number += 1
        if time + 1e-6 < step * every:
            continue
        decoded, frame = video.retrieve()
        if decoded:
            yield time, np.asarray(frame, np.uint8)
            step = int(time / every + 1e-6) + 1


def _identity(frame: Frame) -> Frame:
    return frame


def _refuse(reason: str) -> bytes:
    raise RefusedError(reason)


def _is_hidden(parts: Iterable[str]) -> bool:
    """Return whether a file was created by the system: `.thumbnails`, `._IMG_1.jpg`, `__MACOSX`."""
    return any(part == "__MACOSX" or part.startswith(".") for part in parts)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _other_files(
    files: Iterable[PurePath], annotations: Mapping[str, FoundAnnotation]
) -> Mapping[str, int]:
    """Count the files that are neither photos nor may be annotations of photos, by suffix."""
    used = {found.path for found in annotations.values()}
    suffixes = (path.suffix.lower() for path in files if path.as_posix() not in used)
    return Counter(printable(s) or "no suffix" for s in suffixes if s not in PHOTO_SUFFIXES)


def _check_any(path: Path, photos: Sequence[object], other_files: Mapping[str, int]) -> None:
    if not photos:
        found = ", ".join(f"{count} {suffix}" for suffix, count in sorted(other_files.items()))
        kinds = " ".join(sorted(PHOTO_SUFFIXES))
        raise InputError(f"{path}: expected photos ({kinds}), found {found or 'no files'}")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _limit() -> str:
    return f"at most {_megabytes(MAX_BYTES)} are read"
