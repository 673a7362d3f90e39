"""Train and test: which photo goes where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from annotation.dataset import Dataset
from annotation.files import digest
from annotation.findings import Complaint, Finding
from annotation.judge import judge
from annotation.photo_groups import group_file, read_photo_groups
from annotation.validate import Record


def split_photos(dataset: Dataset, photos: Sequence[Path]) -> dict[Path, str]:
    """Assign each photo to "train" or "test"; photos of one group stay together.

    Groups are put in an order that depends on the seed and their names only, and fill the test
    split up to its share of photos. Each split gets at least one group where there are two.
    """
    groups = _groups(dataset, photos)
    seed = dataset.config.split.seed
    order = sorted(groups, key=lambda group: digest(str(seed), group))
    wanted = dataset.config.split.test * len(photos)
    split: dict[Path, str] = {}
    count = 0
    for rank, group in enumerate(order):
        size = len(groups[group])
        first, last = rank == 0 and len(order) > 1, rank == len(order) - 1
        test = wanted > 0 and not last and (first or count + size / 2 <= wanted)
        count += size * test
        split.update(dict.fromkeys(groups[group], "test" if test else "train"))
    return split


def _groups(dataset: Dataset, photos: Sequence[Path]) -> dict[str, list[Path]]:
    path = group_file(dataset)
    group_of = read_photo_groups(path) if path else {}
    groups = defaultdict(list)
    for photo in photos:
        name = photo.relative_to(dataset.images).as_posix()
        groups[f"group {group_of[name]}" if name in group_of else f"photo {name}"].append(photo)
    return groups


def split_findings(dataset: Dataset, records: Sequence[Record]) -> Iterator[Finding]:
    """Categories that would be in one split only, where the usable photos fill both."""
    usable = {r.photo: r.labels for r in records if r.photo and r.usable and not r.excluded}
    split = split_photos(dataset, sorted(usable))
    photos: dict[str, dict[str, int]] = {label: {} for label in dataset.config.things}
    for photo, part in split.items():
        for label in usable[photo] & photos.keys():
            photos[label][part] = photos[label].get(part, 0) + 1
    lacks = {"train": "it is scored, but never learnt", "test": "it is learnt, but never scored"}
    for label, counts in photos.items():
        if len(counts) == 1 and len(set(split.values())) == 2:
            ((part, count),) = counts.items()
            other = "train" if part == "test" else "test"
            message = f"'{label}' is in {part} only, in {count} photos: {lacks[other]}"
            fix = "draw it in more photos, or choose another split.seed"
            complaint = Complaint("category-one-split", None, message, fix)
            yield from judge(dataset, dataset.root / "dataset.yaml", [complaint])
