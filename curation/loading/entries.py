"""The photos of a data set to load into FiftyOne, with their splits and findings."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from annotation.dataset import Dataset
from annotation.findings import Finding
from annotation.photos.files import photo_size
from annotation.rules.checked import Checked
from base.errors import InputError
from base.files import digest, inside
from conversion.coco.panoptic import PanopticSet, Photo, find_split_jsons
from conversion.coco.panoptic_file import read_panoptic

EXCLUDED = "excluded"  # tag of a photo that is not in the panoptic set because of an error
FINDING = "finding:"  # prefix of tags that name rules


@dataclass(frozen=True)
class Entry:
    """One photo to load; `name` is its path below `images/`, `width` and `height` are in pixels.

    `split`, its panoptic set `panoptic` and its segments in `photo` are None if the photo is
    excluded. `tags` name the split and the rules of the findings.
    """

    name: str
    path: Path
    width: int
    height: int
    tags: tuple[str, ...]
    findings: tuple[str, ...]
    split: str | None = None
    panoptic: PanopticSet | None = None
    photo: Photo | None = None


def read_splits(dataset: Dataset) -> dict[str, PanopticSet]:
    """Read the panoptic sets by split; raise InputError if there are none."""
    paths = find_split_jsons(dataset.panoptic)
    sets = {name: read_panoptic(path) for name, path in paths.items()}
    if not sets:
        raise InputError(f"{dataset.panoptic}: no panoptic set; run `convert` first")
    return sets


def panoptic_digest(dataset: Dataset) -> str:
    """Digest of the panoptic set: the manifest has its inputs, the JSONs have its segments."""
    jsons = find_split_jsons(dataset.panoptic).values()
    return digest(dataset.panoptic / "manifest.json", *jsons)


def list_entries(
    dataset: Dataset,
    splits: dict[str, PanopticSet],
    checked: Checked,
    decided: Collection[str] = (),
) -> list[Entry]:
    """List the photos of the panoptic set and the excluded photos that can be read, by name.

    `decided` are the photos that a person has decided to exclude.
    """
    by_photo = _findings_by_photo(dataset, checked)
    entries = [
        _panoptic_entry(dataset, split, panoptic, photo, by_photo.get(photo.file_name, []))
        for split, panoptic in splits.items()
        for photo in panoptic.photos
    ]
    built = {entry.name for entry in entries}
    unused = [a.photo for a in checked.annotations if a.photo and (a.excluded or not a.usable)]
    names = {photo.relative_to(dataset.images).as_posix() for photo in unused}
    names |= {name for name, found in by_photo.items() if _has_error(found)}
    if decided:
        present = {photo.relative_to(dataset.images).as_posix() for photo in dataset.photos()}
        names |= present.intersection(decided)
    excluded = _excluded_entries(dataset, {name: by_photo.get(name, []) for name in names - built})
    return sorted([*entries, *excluded], key=lambda entry: entry.name)


def _has_error(found: list[Finding]) -> bool:
    return any(finding.severity == "error" for finding in found)


def _panoptic_entry(
    dataset: Dataset, split: str, panoptic: PanopticSet, photo: Photo, found: list[Finding]
) -> Entry:
    where = str(panoptic.json_path.relative_to(dataset.root))
    path = inside(dataset.images, photo.file_name, where=where).resolve()
    tags = (split, *_rule_tags(found))
    messages = tuple(map(_describe, found))
    size = photo.width, photo.height
    return Entry(photo.file_name, path, *size, tags, messages, split, panoptic, photo)


def _excluded_entries(dataset: Dataset, photos: dict[str, list[Finding]]) -> Iterator[Entry]:
    for name, found in photos.items():
        path = (dataset.images / name).resolve()
        try:
            height, width = photo_size(path)
        except InputError:
            continue
        tags = (EXCLUDED, *_rule_tags(found))
        yield Entry(name, path, width, height, tags, tuple(map(_describe, found)))


def _rule_tags(found: list[Finding]) -> list[str]:
    return sorted({f"{FINDING}{finding.rule}" for finding in found})


def _describe(finding: Finding) -> str:
    """Format a finding: `error label-unknown: shapes[3]: label 'cra' is unknown`."""
    place = "" if finding.shape is None else f"shapes[{finding.shape}]: "
    return f"{finding.severity} {finding.rule}: {place}{finding.message}"


def _findings_by_photo(dataset: Dataset, checked: Checked) -> dict[str, list[Finding]]:
    """Findings by the name of their photo below `images/`; those about no photo are omitted."""
    photo_of = {dataset.relative(a.path): a.photo for a in checked.annotations if a.photo}
    by_stem: dict[str, Path] = {}
    for photo in dataset.photos():
        photo_of[dataset.relative(photo)] = photo
        by_stem[_inner_stem(dataset.relative(photo))] = photo
    result: dict[str, list[Finding]] = {}
    for finding in checked.findings:
        # an unreadable annotation most likely belongs to the photo of the same name
        found = photo_of.get(finding.file) or by_stem.get(_inner_stem(finding.file))
        if found is not None:
            name = found.relative_to(dataset.images).as_posix()
            result.setdefault(name, []).append(finding)
    return result


def _inner_stem(file: str) -> str:
    """Reduce `labelme/a/b.json` and `images/a/b.jpg` to `a/b`."""
    return file.partition("/")[2].rpartition(".")[0]
