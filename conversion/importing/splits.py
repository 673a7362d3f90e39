"""The splits of a source, kept in the new data set, and groups of augmented copies."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from base.files import write_bytes
from conversion.config import COPIES_PATTERN
from conversion.importing.photos import ImportedPhoto

LISTS = "splits"  # folder of the new data set with a list of photos for each split
_STANDARD = re.compile(r"(train)(?:ing)?\d*|(val)(?:id|idation)?\d*|(test)\d*", re.IGNORECASE)


@dataclass(frozen=True)
class SourceSplits:
    """How the new data set divides its photos.

    `lists` are the photos of each split of the source, or empty if it has only one. `copies` is
    True if names say that some photos are copies of one original. `notes` are lines about both.
    """

    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    copies: bool = False
    notes: tuple[str, ...] = ()

    def values(self) -> dict[str, object]:
        """Return the value of `split` in `dataset.yaml`."""
        total = sum(map(len, self.lists.values()))
        shares = {name: round(len(photos) / total, 4) for name, photos in self.lists.items()}
        if shares:
            shares["train"] = round(1 - sum(s for name, s in shares.items() if name != "train"), 4)
        values: dict[str, object] = {**(shares or {"train": 0.8, "test": 0.2}), "seed": 0}
        if self.copies:
            values["group_pattern"] = COPIES_PATTERN
        if self.lists:
            values["lists"] = {name: f"{LISTS}/{name}.txt" for name in self.lists}
        return values

    def write(self, root: Path) -> None:
        """Write the lists of photos."""
        for name, photos in self.lists.items():
            text = "".join(f"{photo}\n" for photo in photos)
            write_bytes(root / LISTS / f"{name}.txt", text.encode(), durable=True)


def plan_splits(photos: Sequence[ImportedPhoto]) -> SourceSplits:
    """Keep the splits of the source if it has several, train among them.

    Copies of one original stay together, unless the source itself has them in several splits.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for photo in photos:
        found[_standard_name(photo.file.split)].append(photo.name)
    kept = "train" in found and len(found) > 1 and "" not in found
    notes = []
    if kept and "test" not in found:
        found["test"] = found.pop("val")
        notes.append(f"the validation photos of the source become the split test: {LISTS}/test.txt")
    order = ("train", "val", "test")
    lists = {name: tuple(sorted(found[name])) for name in order if name in found} if kept else {}
    if kept:
        counts = ", ".join(f"{len(names)} {name}" for name, names in lists.items())
        notes.append(f"the splits of the source are kept (split.lists): {counts}")
    groups = _groups_of_copies(photos)
    copies = any(len(group) > 1 for group in groups)
    leaking = _leaking(groups, lists)
    if leaking:
        shown = ", ".join(f"{count} of {name}" for name, count in sorted(leaking.items()))
        notes.append(
            f"warning: the source has copies of training photos in other splits: {shown}; their"
            " scores will be too high; to split the photos again, remove split.lists from"
            f" dataset.yaml and add `group_pattern: '{COPIES_PATTERN}'`"
        )
    elif copies:
        notes.append(
            "photos named like NAME.rf.HASH.jpg are copies of one original; they stay in one split"
        )
    return SourceSplits(lists, copies and not leaking, tuple(notes))


def _standard_name(split: str) -> str:
    """Return train, val or test for the usual names of splits, and "" for others."""
    match = _STANDARD.fullmatch(split)
    return next(filter(None, match.groups()), "").lower() if match else ""


def _groups_of_copies(photos: Sequence[ImportedPhoto]) -> list[list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for photo in photos:
        if match := re.search(COPIES_PATTERN, photo.name):
            groups[match[1]].append(photo.name)
    return list(groups.values())


def _leaking(groups: Sequence[Sequence[str]], lists: dict[str, tuple[str, ...]]) -> Counter[str]:
    """Count the photos of each other split that have a copy in train."""
    split_of = {photo: name for name, photos in lists.items() for photo in photos}
    leaking: Counter[str] = Counter()
    for group in groups:
        splits = [split_of[photo] for photo in group if photo in split_of]
        if "train" in splits:
            leaking.update(split for split in splits if split != "train")
    return leaking
