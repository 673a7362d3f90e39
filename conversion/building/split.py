"""Train, test and others: which photo goes where, and stays."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from annotation.dataset import Dataset
from annotation.findings import Complaint, Finding
from annotation.photos.groups import group_file, read_photo_groups
from annotation.rules.judge import judge
from annotation.rules.validate import Record
from base.errors import InputError
from base.files import digest, inside
from base.parsing import parse, read_json
from conversion.building.groups import group_photos, named_groups
from conversion.config import Split, read_conversion_config

LEAST_GROUPS = 5  # a category with as many is in every split
_MOST_MOVES = 500  # of the search for a better deal; 50 were enough for every set tried
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Remembered:
    """`panoptic/split.json`: how photos were dealt, so that new ones never move old ones."""

    rule: dict[str, Any]
    photos: dict[str, str]


def read_dealt(dataset: Dataset) -> Remembered | None:
    """What `split.json` says; None where there is none."""
    path = dataset.panoptic / "split.json"
    return parse(Remembered, read_json(path), where=str(path)) if path.is_file() else None


def read_remembered(dataset: Dataset) -> dict[str, str]:
    """The split of each photo dealt before by the same rule; empty where the rule has changed."""
    dealt, split = read_dealt(dataset), read_conversion_config(dataset).split
    if dealt is None or dealt.rule != rule_of(split):
        return {}
    return {photo: name for photo, name in dealt.photos.items() if name in split.shares}


def check_split(dataset: Dataset) -> None:
    """InputError for lists and a group file that cannot be read, before anything is done."""
    _listed(dataset)
    if path := group_file(dataset.root, dataset.config.group_by):
        read_photo_groups(path)


def stays(dataset: Dataset, names: Callable[[], Iterable[str]], before: Mapping[str, str]) -> bool:
    """Whether all photos may stay where they were: lists and groups can have changed."""
    groups = named_groups(dataset, names())
    together = all(len({before[name] for name in group}) == 1 for group in groups)
    listed = _listed(dataset)
    return together and all(before.get(name, split) == split for name, split in listed.items())


def rule_of(split: Split) -> dict[str, Any]:
    """All that decides how photos are dealt, but for the lists: these are obeyed at any time."""
    values = msgspec.to_builtins(split)
    return {key: value for key, value in values.items() if key != "lists"}


def split_photos(
    dataset: Dataset,
    counts: Mapping[str, Mapping[int, int]],
    hashes: Mapping[str, int],
    before: Mapping[str, str],
) -> dict[str, str]:
    """The split of every photo in `counts`, which gives its number of segments by category.

    Listed photos go where the lists say and old ones stay; their groups go with them. The others
    are dealt so that every category has its share in each split, as far as groups allow. Chance
    comes from the seed and the names only. Raises InputError for a list that contradicts another.
    """
    split = read_conversion_config(dataset).split
    groups = group_photos(dataset, sorted(counts), hashes, before)
    groups.sort(key=lambda group: digest(str(split.seed), *group))  # chance: who is dealt first
    listed = _listed(dataset)
    fixed = [_fixed(dataset, group, listed, before) for group in groups]
    places = deal(_table(groups, counts), fixed, split.shares)
    return {name: place for group, place in zip(groups, places, strict=True) for name in group}


def _listed(dataset: Dataset) -> dict[str, str]:
    """The split of every photo that stands in a list."""
    where = f"{dataset.root / 'dataset.yaml'}: split.lists"
    listed: dict[str, str] = {}
    for split, file in read_conversion_config(dataset).split.lists.items():
        path = dataset.inside(file, where=where)
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError):
            raise InputError(f"{path}: cannot be read as a list of photos") from None
        for number, name in enumerate(map(str.strip, lines), start=1):
            if name and not inside(dataset.images, name, where=str(path)).is_file():
                raise InputError(f"{path}: line {number}: no such photo below images/: '{name}'")
            if name and listed.setdefault(name, split) != split:
                other = listed[name]
                raise InputError(f"{path}: line {number}: '{name}' is in the list of {other}, too")
    return listed


def _fixed(
    dataset: Dataset, group: Sequence[str], listed: Mapping[str, str], before: Mapping[str, str]
) -> str | None:
    """Where a group has to go: where it is listed, else where most of it was before."""
    places = {listed[name]: name for name in group if name in listed}
    if len(places) > 1:
        (one, name), (two, other) = list(places.items())[:2]
        raise InputError(
            f"{dataset.root / 'dataset.yaml'}: split.lists: {name} is to go to {one}, {other} to"
            f" {two}, but they are of one group; list them together"
        )
    if places:
        return next(iter(places))
    votes = Counter(before[name] for name in group if name in before)
    return max(votes, key=lambda split: (votes[split], split)) if votes else None


def _table(groups: Sequence[Sequence[str]], counts: Mapping[str, Mapping[int, int]]) -> Floats:
    """(G, 1 + C): of each group the number of photos, then of segments by category."""
    column = {c: i for i, c in enumerate(sorted({c for one in counts.values() for c in one}), 1)}
    table = np.zeros((len(groups), 1 + len(column)))
    for row, group in enumerate(groups):
        table[row, 0] = len(group)
        for name in group:
            for category, count in counts[name].items():
                table[row, column[category]] += count
    return table


# --- dealing ---

TOLERANCE = 0.045  # of shares; five points are promised where they are possible
_LEAST_GAIN = 1e-7
_MOST_COMPARED = 20_000_000  # numbers; larger sets need no swaps to come near
_AT_ONCE = 1_000_000  # numbers that are compared at once
PHOTOS_COUNT = 3  # times as much as a category: people look at the number of photos first


def deal(table: Floats, fixed: Sequence[str | None], shares: Mapping[str, float]) -> list[str]:
    """A split for each row of `table`, (G, 1 + C): photos, then segments by category.

    Rows that are `fixed` stay. First as iterative stratification does it (Sechidis et al., 2011):
    the rarest category first, each row to the split that lacks most of it. Then single rows move
    for as long as that brings the shares nearer, and no category with LEAST_GROUPS rows misses a
    split.
    """
    names = [name for name, share in shares.items() if share > 0]
    names += [name for name in shares if name not in names]
    share = np.array([shares[name] for name in names])
    place = np.array([-1 if name is None else names.index(name) for name in fixed], np.intp)
    movable = place < 0
    wanted = share[:, None] * table.sum(axis=0)
    usable = int(np.count_nonzero(share))
    _deal_rarest_first(table, place, wanted[:usable])
    _improve(table, place, wanted, movable, usable)
    return [names[index] for index in place]


def _sums(table: Floats, place: NDArray[np.intp], count: int) -> Floats:
    """(S, 1 + C) what each split has."""
    return np.stack([table[place == split].sum(axis=0) for split in range(count)])


def _deal_rarest_first(table: Floats, place: NDArray[np.intp], wanted: Floats) -> None:
    """Fill the open (-1) places."""
    lack = wanted - _sums(table, place, len(wanted))
    rarity = np.count_nonzero(table, axis=0)
    columns = sorted(range(1, table.shape[1]), key=lambda column: rarity[column])
    for column in (*columns, 0):
        rows = np.flatnonzero((place < 0) & (table[:, column] > 0))
        for row in rows[np.argsort(-table[rows, column], kind="stable")].tolist():
            best = np.lexsort((-lack[:, 0], -lack[:, column]))[0]
            place[row] = best
            lack[best] -= table[row]


def _improve(
    table: Floats, place: NDArray[np.intp], wanted: Floats, movable: NDArray[np.bool_], usable: int
) -> None:
    """Move single rows and, where none helps, swap two; always what lowers the cost most."""
    totals = np.maximum(table.sum(axis=0), 1)
    shares, present = table / totals, (table > 0).astype(float)
    needed = present.sum(axis=0) >= LEAST_GROUPS
    needed[0] = len(table) >= usable
    pairs = [(a, b) for a in range(len(wanted)) for b in range(usable) if a != b]
    for _ in range(_MOST_MOVES):
        error = _sums(shares, place, len(wanted)) - wanted / totals
        groups = _sums(present, place, len(wanted))
        best: tuple[float, dict[int, int]] = (-_LEAST_GAIN, {})
        for swap in (False, True):
            for a, b in pairs if not best[1] else ():
                rows, others = (np.flatnonzero(movable & (place == split)) for split in (a, b))
                if not swap:
                    others = np.array([-1])  # a row of nothing
                numbers = len(rows) * len(others) * table.shape[1]
                for some in _blocks(rows, numbers):
                    moved = [_differences(one, some, others) for one in (shares, present)]
                    costs = _costs(error[a] - moved[0], groups[a] - moved[1], needed)
                    costs += _costs(error[b] + moved[0], groups[b] + moved[1], needed)
                    costs -= _costs(error[[a, b]], groups[[a, b]], needed).sum()
                    row, other = np.unravel_index(costs.argmin(), costs.shape)
                    moves = {int(some[row]): b} | ({int(others[other]): a} if swap else {})
                    best = min(best, (float(costs.min()), moves), key=lambda one: one[0])
        if not best[1]:
            return
        for chosen, split in best[1].items():
            place[chosen] = split


def _blocks(rows: NDArray[np.intp], numbers: int) -> list[NDArray[np.intp]]:
    """The rows in parts, so that what is compared at once is small; none if it is too much."""
    if not 0 < numbers < _MOST_COMPARED:
        return []
    return np.array_split(rows, min(len(rows), 1 + numbers // _AT_ONCE))


def _differences(values: Floats, rows: NDArray[np.intp], others: NDArray[np.intp]) -> Floats:
    """(R, O, C) what goes over where a row goes and another (-1: none) comes."""
    back = np.where((others >= 0)[:, None], values[others], 0)
    return np.asarray(values[rows][:, None] - back[None])


def _costs(error: Floats, groups: Floats, needed: NDArray[np.bool_]) -> Floats:
    """(...,) of a split's errors of shares and numbers of groups, (..., C).

    Squares, the number of photos counting more; what is off by more than TOLERANCE counts many
    times, and a category that misses the split most, where it has the groups for both.
    """
    weights = np.ones(error.shape[-1])
    weights[0] = PHOTOS_COUNT
    beyond = np.maximum(np.abs(error) - TOLERANCE, 0) * needed
    missing = ((groups < 0.5) & needed).sum(axis=-1)
    return np.asarray((weights * error**2 + 5 * beyond).sum(axis=-1) + 10.0 * missing)


def split_findings(dataset: Dataset, records: Sequence[Record]) -> Iterator[Finding]:
    """Categories that are, or would be, in one split only, where the usable photos fill both."""
    usable = {r.photo: r.counts for r in records if r.photo and r.usable and not r.excluded}
    name_of = {photo: photo.relative_to(dataset.images).as_posix() for photo in usable}
    counts = {
        name_of[photo]: {i: n for i, n in enumerate(own) if n} for photo, own in usable.items()
    }
    split = split_photos(dataset, counts, {}, read_remembered(dataset))
    photos: dict[int, Counter[str]] = defaultdict(Counter)
    for name, own in counts.items():
        for index in own:
            photos[index][split[name]] += 1
    for index, label in enumerate(dataset.config.things):
        if len(photos[index]) == 1 and len(set(split.values())) > 1:
            ((part, count),) = photos[index].items()
            why = "it is learnt, but never scored" if part == "train" else "it is never learnt"
            message = f"'{label}' is in {part} only, in {count} photos: {why}"
            fix = "draw it in more photos, or choose another split.seed"
            complaint = Complaint("category-one-split", None, message, fix)
            yield from judge(dataset, dataset.root / "dataset.yaml", [complaint])
