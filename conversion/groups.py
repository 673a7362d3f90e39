"""Photos that belong together: one scene, one video, two shots from one spot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from annotation.dataset import Dataset
from annotation.likeness import near_pairs
from annotation.photo_groups import group_file, read_photo_groups


def group_photos(
    dataset: Dataset,
    names: Sequence[str],
    hashes: Mapping[str, int],
    before: Mapping[str, str],
) -> list[list[str]]:
    """Groups of photo names, each sorted, in the order of their first names.

    Photos are joined by the set's CSV, by its pattern on the name, and by perceptual `hashes` that
    differ little. The last never joins photos that were in different splits `before`: adding a
    photo between two others moves neither.
    """
    joined = _Joined(names)
    for key in _keys(dataset, names):
        joined.join_all(key)
    ordered = [name for name in names if name in hashes]
    distance = dataset.config.limits.near_photo
    for first, second in near_pairs([hashes[name] for name in ordered], distance):
        pair = (ordered[first], ordered[second])
        if len({before[m] for one in pair for m in joined.members(one) if m in before}) < 2:
            joined.join_all(pair)
    return joined.groups()


def _keys(dataset: Dataset, names: Sequence[str]) -> Iterable[list[str]]:
    """Lists of names that the CSV or the pattern puts together."""
    path, pattern = group_file(dataset), dataset.config.split.group_pattern
    group_of = read_photo_groups(path) if path else {}
    by_key: dict[tuple[str, str], list[str]] = {}
    for name in names:
        if name in group_of:
            by_key.setdefault(("group", group_of[name]), []).append(name)
        if pattern and (found := re.search(pattern, name)) and found[1] is not None:
            by_key.setdefault(("pattern", found[1]), []).append(name)
    return by_key.values()


class _Joined:
    """Names in disjoint groups that grow together."""

    def __init__(self, names: Sequence[str]) -> None:
        self._group = {name: [name] for name in names}

    def members(self, name: str) -> list[str]:
        return self._group[name]

    def join_all(self, names: Iterable[str]) -> None:
        first, *others = names
        for other in others:
            small, large = sorted((self._group[first], self._group[other]), key=len)
            if small is not large:
                large.extend(small)
                for name in small:
                    self._group[name] = large

    def groups(self) -> list[list[str]]:
        distinct = {id(group): group for group in self._group.values()}
        return sorted(sorted(group) for group in distinct.values())
