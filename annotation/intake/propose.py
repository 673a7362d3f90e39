"""Propose a `dataset.yaml` for a folder without one, from its labels and its stuff."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from annotation.dataset import Dataset, DatasetConfig, parse_config
from annotation.fixing.shape_fixes import normalized_label
from annotation.labelme.annotation import NotReadableError, UnreadableShape, read_annotation
from annotation.labelme.decoding import known_words
from annotation.photos.groups import read_photo_groups
from annotation.rules.labels import find_spelling
from base.counting import counted
from base.errors import InputError
from base.files import write_bytes
from base.naming import printable
from base.progress import track

RARER = 3  # a label this many times rarer than a similar one counts as a misspelling of it
PLAIN = re.compile(r"[^\W\d]\w*(-\w+)*")  # needs no quotes in YAML, except words such as `no`
_LONGEST = 60  # characters of a label in a comment


@dataclass(frozen=True)
class ProposedThing:
    """A label and its number of shapes, and its misspellings with theirs."""

    label: str
    count: int
    spellings: tuple[tuple[str, int], ...]


def propose_config(root: Path, stuff: Sequence[tuple[str, float]] = ()) -> DatasetConfig:
    """Write `root/dataset.yaml` with every label found as a thing; return its contents.

    `stuff` are the names of COCO's stuff in the label maps, with their fractions of all pixels.
    Rare labels that resemble a frequent one are treated as misspellings of it, which validation
    will report. Raises InputError if the file exists already or there are no labels.
    """
    path = root / "dataset.yaml"
    if os.path.lexists(path):
        raise InputError(f"{path}: already exists and is never overwritten")
    found = _read_names(root)
    counts, defaults = found.labels, DatasetConfig("defaults", ("thing",))
    special = (*defaults.holes, *defaults.ignored)
    for label in list(counts):
        if any(_same(label, one) for one in special):
            del counts[label]
    things = _group_spellings(counts)
    if not things:
        why = f"no labels were found in {root}, {root / 'labelme'} and {root / 'images'}"
        raise InputError(f"{path}: missing, and {why}; create it with `things: [...]`")
    labels = {thing.label for thing in things}
    stuff = [(name, share) for name, share in stuff if name not in labels]
    lines = [*_lines(root, things, stuff), *_flag_lines(found, defaults)]
    text = "\n".join(lines) + "\n"
    config = parse_config(yaml.safe_load(text), where=str(path))
    write_bytes(path, text.encode(), durable=True)
    return config


@dataclass(frozen=True)
class FoundNames:
    """The number of shapes by label, and the flags of shapes and of photos, set or not."""

    labels: Counter[str]
    shape_flags: frozenset[str]
    photo_flags: frozenset[str]


def _read_names(root: Path) -> FoundNames:
    """Read the labels and flags in all files that can be read; validation reports the others."""
    dataset = Dataset(root, DatasetConfig("unknown", ("unknown",)))  # only its folders are used
    photos = dataset.photos() if dataset.images.is_dir() else []
    known = known_words(photo.name for photo in photos)
    counts: Counter[str] = Counter()
    on_shapes, on_photos = set[str](), set[str]()
    for path in track(dataset.annotations(), "read labels"):
        try:
            annotation = read_annotation(path, known=known)
        except NotReadableError:
            continue
        readable = [one for one in annotation.shapes if not isinstance(one, UnreadableShape)]
        counts.update(shape.label for shape in readable if shape.label)
        on_shapes.update(flag for one in readable for flag in one.flags)
        on_photos.update(annotation.flags)
    return FoundNames(counts, frozenset(on_shapes), frozenset(on_photos))


def _group_spellings(counts: Counter[str]) -> list[ProposedThing]:
    """Sort labels by frequency, each with the rarer ones that are misspellings of it."""
    spellings: dict[str, list[tuple[str, int]]] = {}
    for label, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        known = find_spelling(label, tuple(spellings))
        if known and (_same(label, known) or count * RARER <= counts[known]):
            spellings[known].append((label, count))
        else:
            spellings[label] = []
    return [ProposedThing(label, counts[label], tuple(s)) for label, s in spellings.items()]


def _same(first: str, second: str) -> bool:
    return normalized_label(first) == normalized_label(second)


def _lines(
    root: Path, things: Sequence[ProposedThing], stuff: Sequence[tuple[str, float]]
) -> Iterator[str]:
    """Yield the lines of the file."""
    if stuff:
        yield "# Proposed from the Labelme files and the label maps. Check it: correct or delete"
        yield "# labels and stuff."
    else:
        yield "# Proposed from the labels in the Labelme files. Check it: correct or delete labels,"
        yield "# and list under stuff, by COCO name, what cannot be counted: road, wall-stone, ..."
    yield f"name: {_scalar(root.resolve().name or 'dataset')}"
    yield "things:"
    for thing in things:
        comment = counted(thing.count, "shape")
        for label, count in thing.spellings:
            comment += f"; probably misspelt: {count:,} '{printable(label[:_LONGEST])}'"
        yield f"  - {_scalar(thing.label)}  # {comment}"
    yield "stuff:" if stuff else "stuff: []"
    for name, share in stuff:
        yield f"  - {_scalar(name)}  # {100 * share:.1f}% of all pixels"
    if any(path.suffix.lower() == ".png" for path in (root / "stuff").rglob("*")):
        yield "stuff_sources:"
        missing = "" if stuff else "; list their stuff above"
        yield f"  - label_maps: stuff  # PNGs of COCO's panoptic ids{missing}"
    yield "split:"
    yield from ("  train: 0.8", "  test: 0.2", "  seed: 0")
    if _has_groups(root / "photos.csv"):
        yield "  group_by: photos.csv  # keep the photos of a group in one split"


def _flag_lines(found: FoundNames, defaults: DatasetConfig) -> Iterator[str]:
    """Yield a line for each kind of flag of which the files have some that are not defaults."""
    for key in ("shape_flags", "photo_flags"):
        known, used = getattr(defaults, key), getattr(found, key)
        if new := sorted(used - set(known)):
            flags = ", ".join(map(_scalar, (*known, *new)))
            yield f"{key}: [{flags}]  # the flags in the files"


def _scalar(text: str) -> str:
    """Write a text as YAML on one line: plain if that is safe, otherwise in double quotes."""
    if PLAIN.fullmatch(text) and yaml.safe_load(text) == text:
        return text
    quoted = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=1 << 30)
    return str(quoted).rstrip("\n")


def _has_groups(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        return bool(read_photo_groups(path))
    except InputError:
        return False
