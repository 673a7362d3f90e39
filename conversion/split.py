"""Train and test: which photo goes where."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from annotation.dataset import Dataset
from annotation.files import InputError, digest


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
    group_of = _read_groups(dataset)
    groups = defaultdict(list)
    for photo in photos:
        name = photo.relative_to(dataset.images).as_posix()
        groups[f"group {group_of[name]}" if name in group_of else f"photo {name}"].append(photo)
    return groups


def _read_groups(dataset: Dataset) -> dict[str, str]:
    if dataset.config.split.group_by is None:
        return {}
    where = f"{dataset.root / 'dataset.yaml'}: split.group_by"
    path = dataset.inside(dataset.config.split.group_by, where=where)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = csv.reader(file)
    except (OSError, ValueError):
        raise InputError(f"{path}: cannot be read as a CSV file with a header") from None
    if len(header) != 2 or header[0] != "image":
        raise InputError(f"{path}: expected the columns image and a group, got {header}")
    for line, row in enumerate(rows, start=2):
        if len(row) != 2:
            raise InputError(f"{path}: line {line}: expected 2 columns, got {len(row)}")
    return {row[0]: row[1] for row in rows}
