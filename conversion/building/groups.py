"""Photos that must be in the same split: one scene, one video, two shots from the same place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

import regex

from annotation.dataset import Dataset
from annotation.photos.groups import group_file, read_photo_groups
from annotation.photos.likeness import near_pairs
from annotation.rules.cache import Cache
from annotation.rules.cached import CachedInspections
from annotation.rules.pixels import InspectionTask
from base.errors import InputError
from base.files import digest
from conversion.config import read_conversion_config

_MOST_SECONDS = 1.0  # for one name


def group_photos(
    dataset: Dataset,
    names: Sequence[str],
    hashes: Mapping[str, int],
    before: Mapping[str, str],
) -> list[list[str]]:
    """Return groups of photo names, each sorted, in the order of their first names.

    Photos are joined by the set's CSV, by its pattern for names, and by perceptual `hashes` that
    are almost equal. Hashes never join photos that were in different splits `before`, so that a new
    photo that resembles two others moves neither of them.
    """
    named = list(named_groups(dataset, names))
    ordered = [name for name in names if name in hashes]
    near = near_pairs([hashes[name] for name in ordered], dataset.config.limits.near_photo)
    if not named and not near:
        return [[name] for name in sorted(names)]
    from scipy.cluster.hierarchy import DisjointSet  # its import takes a quarter of a second

    joined = DisjointSet(names)
    for first, *others in named:
        for other in others:
            joined.merge(first, other)
    for i, j in near:
        first, second = ordered[i], ordered[j]
        members = joined.subset(first) | joined.subset(second)
        if len({before[name] for name in members if name in before}) < 2:
            joined.merge(first, second)
    return sorted(sorted(group) for group in joined.subsets())


def perceptual_hashes(
    dataset: Dataset,
    cache: Cache,
    digests: Mapping[str, bytes],
    *,
    decode: bool = True,
    keep_problems: bool = True,
) -> dict[str, int]:
    """Return perceptual hashes by name, for the photos whose SHA-256 `digests` are given.

    Photos that cannot be decoded have none. `decode` and `keep_problems` are described in
    `CachedInspections.inspect`.
    """
    tasks = [InspectionTask(dataset.images / name, content) for name, content in digests.items()]
    results = CachedInspections(cache).inspect(tasks, decode=decode, keep_problems=keep_problems)
    found = {
        name: result.photo.likeness
        for name, result in zip(digests, results, strict=True)
        if result is not None
    }
    cache.commit()
    return {name: value for name, value in found.items() if value is not None}


def group_inputs(dataset: Dataset, photos: Iterable[tuple[str, bytes]]) -> str:
    """Return a digest of everything that determines the groups of `photos`, names and digests."""
    split, limit = read_conversion_config(dataset).split, dataset.config.limits.near_photo
    path = group_file(dataset.root, dataset.config.group_by)
    settings = repr((split.group_pattern, split.near_duplicates, limit))
    total = sha256(digest(settings, *([path] if path else [])).encode())
    for name, content in photos:
        total.update(name.encode() + b"\0" + content)
    return total.hexdigest()


def named_groups(dataset: Dataset, names: Iterable[str]) -> Iterable[list[str]]:
    """Return the lists of names that the CSV or the pattern joins; a name may be in two lists."""
    path = group_file(dataset.root, dataset.config.group_by)
    pattern = read_conversion_config(dataset).split.group_pattern
    if not path and not pattern:
        return []
    group_of = read_photo_groups(path) if path else {}
    by_key: dict[tuple[str, str], list[str]] = {}
    for name in names:
        if name in group_of:
            by_key.setdefault(("group", group_of[name]), []).append(name)
        if pattern and (key := _pattern_group(dataset, pattern, name)) is not None:
            by_key.setdefault(("pattern", key), []).append(name)
    return by_key.values()


def _pattern_group(dataset: Dataset, pattern: str, name: str) -> str | None:
    """Return the first group of the set's pattern in the name of a photo.

    Some patterns take years for a name of 30 letters. The `regex` package, unlike `re`, can stop.
    Raises InputError if a search takes longer than a second.
    """
    try:
        found = regex.search(pattern, name, timeout=_MOST_SECONDS)
    except TimeoutError:
        raise InputError(
            f"{dataset.root / 'dataset.yaml'}: split.group_pattern: expected a pattern that is"
            f" found within {_MOST_SECONDS} s, found '{pattern}', which takes longer in '{name}';"
            " avoid repetitions inside repetitions, such as (a+)+"
        ) from None
    return None if found is None else found[1]
