"""Which photos of a data set go into FiftyOne, and what validation found in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from annotation.dataset import Dataset
from annotation.files import InputError, digest, inside
from annotation.findings import Finding
from annotation.labelme import read_annotation
from annotation.photos import find_photo, photo_size
from conversion.panoptic import PanopticSet, Photo, read_panoptic

SPLITS = ("train", "test")
EXCLUDED = "excluded"  # tag of a photo that is not in the panoptic set because of an error
FINDING = "finding:"  # begins the tags that name rules


@dataclass(frozen=True)
class Entry:
    """One photo to load; `photo` and `panoptic` are None where it is excluded."""

    name: str
    path: Path
    width: int
    height: int
    tags: tuple[str, ...]
    findings: tuple[str, ...]
    panoptic: PanopticSet | None = None
    photo: Photo | None = None


def read_splits(dataset: Dataset) -> dict[str, PanopticSet]:
    """The panoptic sets by split; InputError where none was built."""
    paths = {name: truth_json(dataset, name) for name in SPLITS}
    sets = {name: read_panoptic(path) for name, path in paths.items() if path.is_file()}
    if not sets:
        raise InputError(f"{dataset.panoptic}: no panoptic set; run `convert` first")
    return sets


def truth_json(dataset: Dataset, split: str) -> Path:
    """Where the panoptic JSON of a split lies."""
    return dataset.panoptic / "annotations" / f"panoptic_{split}.json"


def panoptic_digest(dataset: Dataset) -> str:
    """Digest of what was built: the manifest knows the photos and shapes, the JSONs the result."""
    jsons = [truth_json(dataset, split) for split in SPLITS]
    return digest(dataset.panoptic / "manifest.json", *jsons)


def list_entries(
    dataset: Dataset, splits: dict[str, PanopticSet], findings: Sequence[Finding]
) -> list[Entry]:
    """Photos of the panoptic set, and excluded ones that can still be looked at, by name."""
    by_photo = findings_by_photo(dataset, findings)
    entries = [
        _panoptic_entry(dataset, split, panoptic, photo, by_photo.get(photo.file_name, []))
        for split, panoptic in splits.items()
        for photo in panoptic.photos
    ]
    built = {entry.name for entry in entries}
    left = {name: found for name, found in by_photo.items() if name not in built}
    return sorted([*entries, *_excluded_entries(dataset, left)], key=lambda entry: entry.name)


def _panoptic_entry(
    dataset: Dataset, split: str, panoptic: PanopticSet, photo: Photo, found: list[Finding]
) -> Entry:
    where = str(panoptic.json_path.relative_to(dataset.root))
    path = inside(dataset.images, photo.file_name, where=where).resolve()
    tags = (split, *_rule_tags(found))
    messages = tuple(map(describe, found))
    return Entry(photo.file_name, path, photo.width, photo.height, tags, messages, panoptic, photo)


def _excluded_entries(dataset: Dataset, left: dict[str, list[Finding]]) -> Iterator[Entry]:
    for name, found in left.items():
        path = (dataset.images / name).resolve()
        try:
            height, width = photo_size(path)
        except InputError:
            continue
        if any(finding.severity == "error" for finding in found):
            tags = (EXCLUDED, *_rule_tags(found))
            yield Entry(name, path, width, height, tags, tuple(map(describe, found)))


def _rule_tags(found: list[Finding]) -> list[str]:
    return sorted({f"{FINDING}{finding.rule}" for finding in found})


def describe(finding: Finding) -> str:
    """One finding as one line: `error label-unknown: shape 3: label 'cra' is unknown`."""
    place = "" if finding.shape is None else f"shape {finding.shape}: "
    return f"{finding.severity} {finding.rule}: {place}{finding.message}"


def findings_by_photo(dataset: Dataset, findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """Findings by the photo they speak of, a name below `images/`; those of no photo are left."""
    by_stem = {path.relative_to(dataset.images).with_suffix(""): path for path in dataset.photos()}
    photos: dict[str, Path | None] = {}
    result: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.file not in photos:
            photos[finding.file] = _photo_of(dataset, finding.file, by_stem)
        photo = photos[finding.file]
        if photo is not None:
            name = photo.relative_to(dataset.images).as_posix()
            result.setdefault(name, []).append(finding)
    return result


def _photo_of(dataset: Dataset, file: str, by_stem: dict[Path, Path]) -> Path | None:
    path = dataset.root / file
    if path.is_relative_to(dataset.images):
        return path if path.is_file() else None
    if not path.is_relative_to(dataset.labelme):
        return None
    try:
        return find_photo(dataset, path, read_annotation(path).image_path)
    except InputError:  # an unreadable annotation is most likely of the photo of its name
        return by_stem.get(path.relative_to(dataset.labelme).with_suffix(""))
