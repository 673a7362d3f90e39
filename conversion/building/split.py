"""Assigning photos to splits, such as train and test, and keeping them there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from annotation.dataset import Dataset
from annotation.decisions import FILE_NAME, read_decisions
from annotation.findings import Complaint
from annotation.photos.groups import group_file, read_photo_groups
from annotation.rules.checked import CheckedAnnotation
from base.counting import counted
from base.errors import InputError
from base.files import digest, inside, read_regular
from base.parsing import parse, read_json
from conversion.building.assignment import assign_splits, count_table
from conversion.building.groups import group_photos, named_groups
from conversion.config import Split, read_conversion_config


@dataclass(frozen=True)
class SplitFile:
    """`panoptic/split.json`: how photos were assigned, so that new photos never move old ones."""

    rule: dict[str, Any]
    photos: dict[str, str]


def read_split_file(dataset: Dataset) -> SplitFile | None:
    """Read `split.json`; None if it does not exist."""
    path = dataset.panoptic / "split.json"
    return parse(SplitFile, read_json(path), where=str(path)) if path.is_file() else None


def read_remembered(dataset: Dataset) -> dict[str, str]:
    """Return the split of each photo assigned before by the same rule; empty if it has changed."""
    file, split = read_split_file(dataset), read_conversion_config(dataset).split
    if file is None or file.rule != rule_of(split):
        return {}
    return {photo: name for photo, name in file.photos.items() if name in split.shares}


def check_split(dataset: Dataset) -> None:
    """Raise InputError if the lists or the group file cannot be read, before work begins."""
    _listed(dataset)
    if path := group_file(dataset.root, dataset.config.group_by):
        read_photo_groups(path)


def can_stay(
    dataset: Dataset, names: Callable[[], Iterable[str]], before: Mapping[str, str]
) -> bool:
    """Return whether all photos may stay in their splits, given the current lists and groups."""
    groups = named_groups(dataset, names())
    together = all(len({before[name] for name in group}) == 1 for group in groups)
    listed = _listed(dataset)
    return together and all(before.get(name, split) == split for name, split in listed.items())


def rule_of(split: Split) -> dict[str, Any]:
    """Return everything that determines the assignment, except the lists, which always apply."""
    values = msgspec.to_builtins(split)
    return {key: value for key, value in values.items() if key != "lists"}


def split_photos(
    dataset: Dataset,
    counts: Mapping[str, Mapping[int, int]],
    groups: Sequence[Sequence[str]],
    before: Mapping[str, str],
) -> dict[str, str]:
    """Return the split of every photo in `groups`; `counts` are its segments by category.

    Listed photos go to the split of their list, old photos stay where they were `before`, and their
    groups go with them. The other groups are assigned so that every category has its share in each
    split, as far as groups allow. The result depends only on the seed and the names.

    Raises InputError if lists contradict each other.
    """
    split = read_conversion_config(dataset).split
    groups = sorted(groups, key=lambda group: digest(str(split.seed), *group))  # a random order
    listed = _listed(dataset)
    fixed = [_fixed(dataset, group, listed, before) for group in groups]
    places = assign_splits(count_table(groups, counts), fixed, split.shares)
    return {name: place for group, place in zip(groups, places, strict=True) for name in group}


def _listed(dataset: Dataset) -> dict[str, str]:
    """Return the split of every photo that is in a list or has a decision about it."""
    where = f"{dataset.root / 'dataset.yaml'}: split.lists"
    listed: dict[str, str] = {}
    for split, file in read_conversion_config(dataset).split.lists.items():
        path = dataset.inside(file, where=where)
        try:
            lines = read_regular(path).decode("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError):
            raise InputError(f"{path}: cannot be read as a list of photos") from None
        for number, name in enumerate(map(str.strip, lines), start=1):
            place = f"{path}: line {number}"
            if name and not inside(dataset.images, name, where=str(path)).is_file():
                raise InputError(f"{place}: expected a photo below images/, found '{name}'")
            if name and listed.setdefault(name, split) != split:
                raise InputError(f"{place}: '{name}' is also in the list of {listed[name]}")
    return listed | _decided(dataset)


def _decided(dataset: Dataset) -> dict[str, str]:
    """Return the splits of `curation.yaml`."""
    shares = read_conversion_config(dataset).split.shares
    decided = read_decisions(dataset).split
    for name, split in decided.items():
        if split not in shares:
            where = f"{dataset.root / FILE_NAME}: split: {name}"
            raise InputError(f"{where}: expected one of {', '.join(shares)}, found '{split}'")
    return decided


def _fixed(
    dataset: Dataset, group: Sequence[str], listed: Mapping[str, str], before: Mapping[str, str]
) -> str | None:
    """Return the split that lists or decisions name, or else that of most photos of the group."""
    places = {listed[name]: name for name in group if name in listed}
    if len(places) > 1:
        (one, name), (two, other) = list(places.items())[:2]
        raise InputError(
            f"{dataset.root / 'dataset.yaml'}: split.lists and {FILE_NAME}: {name} belongs to {one}"
            f" and {other} to {two}, but they are in one group; choose one split for both"
        )
    if places:
        return next(iter(places))
    votes = Counter(before[name] for name in group if name in before)
    return max(votes, key=lambda split: (votes[split], split)) if votes else None


def split_complaints(
    dataset: Dataset, annotations: Sequence[CheckedAnnotation]
) -> Iterator[Complaint]:
    """Report splits without photos, and categories that are in only one of several splits.

    The splits are those that the photos have, or will have when the set is converted.
    """
    usable = {one.photo: one.counts for one in annotations if one.usable and not one.excluded}
    counts = {
        photo.relative_to(dataset.images).as_posix(): {i: n for i, n in enumerate(own) if n}
        for photo, own in usable.items()
        if photo is not None
    }
    before = read_remembered(dataset)
    split = split_photos(dataset, counts, group_photos(dataset, sorted(counts), {}, before), before)
    sizes = Counter(split.values())
    shares = read_conversion_config(dataset).split.shares
    yield from empty_split_complaints({name: sizes[name] for name in shares}, shares)
    photos: dict[int, Counter[str]] = defaultdict(Counter)
    for name, own in counts.items():
        for index in own:
            photos[index][split[name]] += 1
    for index, label in enumerate(dataset.config.things):
        if len(photos[index]) == 1 and len(sizes) > 1:
            ((part, count),) = photos[index].items()
            why = "used in training but never scored" if part == "train" else "not used in training"
            message = f"'{label}' is only in {part}, in {counted(count, 'photo')}: {why}"
            fix = "draw it in more photos, or choose another split.seed"
            yield Complaint("category-one-split", None, message, fix)


def empty_split_complaints(
    sizes: Mapping[str, int], shares: Mapping[str, float]
) -> Iterator[Complaint]:
    """Report splits without photos, given the number of photos and the share of each split."""
    total, fix = sum(sizes.values()), "add photos, or choose other shares, seed or lists"
    for name, count in sizes.items() if total else ():
        if not count and shares.get(name, 1) > 0:
            why = "nothing can be learnt" if name == "train" else "nothing can be scored"
            message = f"the split '{name}' has no photos: {why}"
            yield Complaint("category-one-split", None, message, fix)
    if set(shares) == {"train"}:  # with `test: 0`, somebody has decided that
        message = "all photos are for training: no prediction will be scored"
        yield Complaint("category-one-split", None, message, fix, severity="note")
