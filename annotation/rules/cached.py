"""Checks that are repeated only for files that have changed since the last check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgspec

from annotation.dataset import Dataset
from annotation.decisions import read_decisions
from annotation.findings import Finding
from annotation.labelme.photo_index import PhotoIndex
from annotation.photos.processes import prepare_process
from annotation.rules.annotations import check_annotation
from annotation.rules.cache import AnnotationRow, Cache, InspectionRow, is_text
from annotation.rules.checked import CheckedAnnotation, CheckedFile
from annotation.rules.pixels import Inspection, InspectionTask, PhotoInspection, inspect_photo
from annotation.rules.statistics import Statistics
from annotation.rules.version import pixels_version, rules_version
from base.progress import track
from base.workers import in_processes


class _Record(msgspec.Struct, array_like=True):
    """A CheckedAnnotation without its path; `photo` is relative to the data set."""

    photo: str | None
    size: tuple[int, int] | None
    usable: bool
    excluded: bool
    embeds: bool
    counts: tuple[int, ...]
    alone: bool


class CachedChecks:
    """The checks of single annotation files; those of unchanged files come from the cache.

    What is found in a file depends on the file, its photo, the configuration, the code and, unless
    imagePath is the exact path of the photo, on the names of all photos. A digest of these is the
    key under which the findings are stored.
    """

    def __init__(self, dataset: Dataset, index: PhotoIndex, cache: Cache) -> None:
        self._dataset, self._index, self._cache = dataset, index, cache
        config = replace(dataset.config, name="", group_by=None)  # no rule about a file uses them
        self._context = rules_version() + msgspec.json.encode(config)
        self._photo_names = b""
        self._excluded = {dataset.images / name for name in read_decisions(dataset).exclude}

    def check(self, path: Path, *, errors_only: bool = False) -> CheckedFile:
        """Check one annotation file.

        With `errors_only`, rules that report no errors in this set may be skipped, and the result
        has no findings and statistics if it comes from the cache.
        """
        if not is_text(str(path)):  # such names cannot be stored
            return check_annotation(self._dataset, self._index, path, errors_only=errors_only)
        name = self._dataset.relative(path)
        stored = self._stored(path, name, errors_only=errors_only)
        checked = stored or self._fresh(path, name, errors_only=errors_only)
        if checked.annotation.photo in self._excluded:  # after the cache, which knows files only
            checked = replace(checked, annotation=replace(checked.annotation, excluded=True))
        return checked

    def _stored(self, path: Path, name: str, *, errors_only: bool) -> CheckedFile | None:
        found = self._cache.record(name)
        if found is None:
            return None
        key, value = found
        one = msgspec.json.decode(value, type=_Record)
        photo = None if one.photo is None else self._dataset.root / one.photo
        try:
            digest = self._cache.digest(path)
            photo_digest = b"" if photo is None else self._cache.digest(photo)
        except OSError:  # the photo was deleted
            return None
        if self._key(digest, photo_digest, alone=one.alone) != key:
            return None
        size, counts = one.size, one.counts
        annotation = CheckedAnnotation(
            path, photo, size, one.usable, one.excluded, one.embeds, counts, one.alone
        )
        if errors_only:
            return CheckedFile(annotation, (), None, digest, photo_digest)
        details = self._cache.findings(name)
        if details is None:
            return None
        findings = msgspec.msgpack.decode(details[0], type=tuple[Finding, ...])
        statistics = msgspec.msgpack.decode(details[1], type=Statistics | None)
        return CheckedFile(annotation, findings, statistics, digest, photo_digest)

    def _fresh(self, path: Path, name: str, *, errors_only: bool) -> CheckedFile:
        digest = self._digest(path)  # before reading: a change in between makes the key outdated
        checked = check_annotation(self._dataset, self._index, path, errors_only=errors_only)
        photo = checked.annotation.photo
        photo_digest = b"" if photo is None else self._digest(photo)
        if digest and (photo is None or (photo_digest and is_text(str(photo)))):
            key = self._key(digest, photo_digest, alone=checked.annotation.alone)
            self._keep(name, key, checked, errors_only=errors_only)
        return replace(checked, digest=digest, photo_digest=photo_digest)

    def _digest(self, path: Path) -> bytes:
        try:
            return self._cache.digest(path)
        except OSError:
            return b""

    def _key(self, digest: bytes, photo_digest: bytes, *, alone: bool) -> bytes:
        parts = (self._context, digest, photo_digest, b"" if alone else self._names())
        return sha256(b"".join(parts)).digest()

    def _names(self) -> bytes:
        """Return a digest of the names of all photos and unsupported pictures."""
        if not self._photo_names:
            start, total = len(str(self._dataset.images)), sha256()
            for text in (*self._index.photos.texts, *self._index.unsupported.texts):
                total.update(text[start:].encode(errors="surrogateescape") + b"\0")
            self._photo_names = total.digest()
        return self._photo_names

    def _keep(self, name: str, key: bytes, checked: CheckedFile, *, errors_only: bool) -> None:
        one = checked.annotation
        photo = None if one.photo is None else self._dataset.relative(one.photo)
        record = msgspec.json.encode(
            _Record(photo, one.size, one.usable, one.excluded, one.embeds, one.counts, one.alone)
        )
        if errors_only:
            row = AnnotationRow(record)
        else:
            findings = msgspec.msgpack.encode(checked.findings)
            row = AnnotationRow(record, findings, msgspec.msgpack.encode(checked.statistics))
        self._cache.keep_annotation(name, key, row)


class CachedInspections:
    """The inspections of photos; those of unchanged photos come from the cache."""

    def __init__(self, cache: Cache) -> None:
        self._cache, self._version = cache, pixels_version()

    def inspect(
        self, tasks: Sequence[InspectionTask], *, decode: bool = True, keep_problems: bool = True
    ) -> Iterator[PhotoInspection | None]:
        """Yield the inspection of each photo, in order.

        Without `decode`, yield only what is in the cache, and None for all other photos. Without
        `keep_problems`, problems are not stored, so that later checks report the same as before.
        """
        known = [self.known(task.digest, task.annotation_digest) for task in tasks]
        new = [task for task, one in zip(tasks, known, strict=True) if not _is_complete(task, one)]
        if not decode:
            yield from known
            return
        inspected_photos = in_processes(inspect_photo, new, prepare=prepare_process)
        fresh = track(inspected_photos, "decode photos", total=len(new))
        for task, one in zip(tasks, known, strict=True):
            if _is_complete(task, one):
                yield one
                continue
            inspected = next(fresh)
            if keep_problems or inspected.photo.problem is None:
                self._keep(task, inspected)
            yield inspected

    def known(self, digest: bytes, annotation_digest: bytes = b"") -> PhotoInspection | None:
        """Return what is stored about a photo and the copy in its annotation, by their SHA-256."""
        row = self._cache.inspection(self.key(digest)) if digest else None
        if row is None:
            return None
        copy = None
        if annotation_digest:
            copy = self._cache.inspection(self.key(digest, annotation_digest))
        return PhotoInspection(_inspection(row), None if copy is None else _inspection(copy))

    def problems(self) -> dict[bytes, Inspection]:
        """Return all stored inspections with a problem, by `key`."""
        return {key: _inspection(row) for key, row in self._cache.problems().items()}

    def key(self, digest: bytes, annotation_digest: bytes = b"") -> bytes:
        """Return the key of the inspection of a photo, or of the copy in its annotation."""
        return sha256(self._version + digest + annotation_digest).digest()

    def _keep(self, task: InspectionTask, inspected: PhotoInspection) -> None:
        if task.digest and inspected.photo.lasting:
            self._cache.keep_inspection(self.key(task.digest), _row(inspected.photo))
        copy = inspected.copy
        if task.digest and task.annotation_digest and copy is not None and copy.lasting:
            key = self.key(task.digest, task.annotation_digest)
            self._cache.keep_inspection(key, _row(copy))


def _is_complete(task: InspectionTask, one: PhotoInspection | None) -> bool:
    return one is not None and (task.annotation is None or one.copy is not None)


def _row(one: Inspection) -> InspectionRow:
    likeness = None if one.likeness is None else one.likeness.to_bytes(8, "big")
    return InspectionRow(one.problem, one.reason, likeness)


def _inspection(row: InspectionRow) -> Inspection:
    likeness = None if row.likeness is None else int.from_bytes(row.likeness, "big")
    return Inspection(row.problem, row.reason, likeness)  # type: ignore[arg-type]
