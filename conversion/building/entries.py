"""The annotations that can be converted; files that have not changed are not read again."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from annotation.dataset import Dataset
from annotation.decisions import read_decisions
from annotation.labelme.photo_index import PhotoIndex
from annotation.photos.files import photo_size
from annotation.rules.cache import Cache, is_text
from annotation.rules.cached import CachedChecks, CachedInspections
from annotation.rules.checked import CheckedFile
from annotation.rules.judge import judge
from annotation.rules.pixels import PhotoInspection, inspection_complaints
from annotation.rules.validate import annotation_paths
from base.errors import InputError
from base.progress import track
from conversion.building.plan import PlannedPhoto

ERRORS = "has errors; see `validate`"
NOT_TEXT = "the name of the file or of its photo is not valid UTF-8; rename it"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An annotation that cannot be converted, and why; `annotation` is relative to the set."""

    annotation: str
    reason: str


def read_entries(
    dataset: Dataset, index: PhotoIndex, cache: Cache
) -> Iterator[PlannedPhoto | LeftOut]:
    """Yield a PlannedPhoto for each annotation with a photo, and a LeftOut for each unusable one.

    Changed files are checked for errors only, because other findings do not matter here. Photos are
    not decoded; but if an earlier `validate` found that a photo is incomplete, and the photo has
    not changed, its annotation is left out for that reason.

    A set without Labelme files has a PlannedPhoto for each photo, whose stuff alone is painted.
    Raises InputError if there are no annotations although there should be some.
    """
    if dataset.has_only_maps():
        yield from _photos_without_annotation(dataset, index, cache)
        return
    checks, known = CachedChecks(dataset, index, cache), _KnownProblems(dataset, cache)
    paths, start = annotation_paths(dataset), len(str(dataset.images)) + 1
    with warnings.catch_warnings(action="ignore"):  # Pillow warns about unusual metadata
        for path in track(paths, "read"):
            one = checks.check(path, errors_only=True)
            checked, name = one.annotation, dataset.relative(path)
            if not (is_text(str(path)) and is_text(str(checked.photo))):
                yield LeftOut(name, NOT_TEXT)
                continue
            reason = known.error(one) if checked.usable else ERRORS
            if reason is not None:
                yield LeftOut(name, reason)
            if checked.photo is None:
                continue
            yield PlannedPhoto(
                photo=str(checked.photo)[start:].replace(os.sep, "/"),
                annotation=name,
                size=checked.size or (0, 0),
                needs=sum(checked.counts),
                used=reason is None and not checked.excluded and checked.size is not None,
                alone=checked.alone,
                annotation_digest=one.digest,
                photo_digest=one.photo_digest,
            )


def _photos_without_annotation(
    dataset: Dataset, index: PhotoIndex, cache: Cache
) -> Iterator[PlannedPhoto | LeftOut]:
    excluded = set(read_decisions(dataset).exclude)
    for photo in track(index.photos, "read"):
        name = dataset.relative(photo)
        try:
            size, digest = photo_size(photo), cache.digest(photo)
        except (InputError, OSError) as error:
            yield LeftOut(name, str(error).removeprefix(f"{photo}: "))
            continue
        if not is_text(str(photo)):
            yield LeftOut(name, NOT_TEXT)
            continue
        below = photo.relative_to(dataset.images).as_posix()
        used = below not in excluded
        yield PlannedPhoto(below, name, size, 0, used, True, b"", digest)


class _KnownProblems:
    """The problems that `validate` found in the pixels of photos; usually there are none."""

    def __init__(self, dataset: Dataset, cache: Cache) -> None:
        self._dataset, self._inspections = dataset, CachedInspections(cache)
        self._problems = self._inspections.problems()

    def error(self, one: CheckedFile) -> str | None:
        """Return the error because of which a photo is left out; None if there is none."""
        if not self._problems or one.annotation.photo is None:
            return None
        path, photo = one.annotation.path, one.annotation.photo
        known = self._known(one)
        complaints = () if known is None else inspection_complaints(photo, known, annotated=True)
        findings = judge(self._dataset, path, complaints)
        return next((f.message for f in findings if f.severity == "error"), None)

    def _known(self, one: CheckedFile) -> PhotoInspection | None:
        copy = one.digest if one.annotation.embeds else b""
        keys = [self._inspections.key(one.photo_digest)]
        keys += [self._inspections.key(one.photo_digest, copy)] if copy else []
        found = any(key in self._problems for key in keys)
        return self._inspections.known(one.photo_digest, copy) if found else None
