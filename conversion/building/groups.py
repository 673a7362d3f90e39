"""Photos that belong together: one scene, one video, two shots from one spot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from annotation.dataset import Dataset
from annotation.photos.groups import group_file, read_photo_groups
from annotation.photos.likeness import near_pairs
from conversion.config import read_conversion_config


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
    joined = _Joined()
    for key in named_groups(dataset, names):
        joined.join_all(key)
    ordered = [name for name in names if name in hashes]
    distance = dataset.config.limits.near_photo
    for first, second in near_pairs([hashes[name] for name in ordered], distance):
        pair = (ordered[first], ordered[second])
        if len({before[m] for one in pair for m in joined.members(one) if m in before}) < 2:
            joined.join_all(pair)
    return joined.groups(names)


def named_groups(dataset: Dataset, names: Iterable[str]) -> Iterable[list[str]]:
    """Lists of names that the CSV or the pattern puts together; a name may be in both."""
    path = group_file(dataset.root, dataset.config.group_by)
    pattern = read_conversion_config(dataset).split.group_pattern
    if not path and not pattern:
        return []
    group_of = read_photo_groups(path) if path else {}
    by_key: dict[tuple[str, str], list[str]] = {}
    for name in names:
        if name in group_of:
            by_key.setdefault(("group", group_of[name]), []).append(name)
        if pattern and (found := re.search(pattern, name)) and found[1] is not None:
            by_key.setdefault(("pattern", found[1]), []).append(name)
    return by_key.values()


class _Joined:
    """Names in disjoint groups that grow together; most are alone, and nothing is kept of them."""

    def __init__(self) -> None:
        self._group: dict[str, list[str]] = {}

    def members(self, name: str) -> list[str]:
        return self._group.get(name) or [name]

    def join_all(self, names: Iterable[str]) -> None:
        first, *others = names
        for other in others:
            one, two = (self._group.setdefault(name, [name]) for name in (first, other))
            small, large = sorted((one, two), key=len)
            if small is not large:
                large.extend(small)
                for name in small:
                    self._group[name] = large

    def groups(self, names: Iterable[str]) -> list[list[str]]:
        """All groups; `names` are all names, sorted."""
        return sorted(
            sorted(self._group[name]) if name in self._group else [name]
            for name in names
            if name not in self._group or self._group[name][0] == name
        )
