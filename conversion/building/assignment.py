"""Assigning groups of photos to splits so that every category has its share in each split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_GROUPS = 5  # a category in this many groups is in every split
TOLERANCE = 0.045  # of shares; the documentation promises 0.05 where it is possible
_LEAST_GAIN = 1e-7
_MOST_MOVES = 500  # of the search for a better assignment; 50 were enough for all sets tried
_MOST_COMPARED = 20_000_000  # numbers; larger sets reach their shares without swaps
_AT_ONCE = 1_000_000  # numbers compared at once
PHOTO_WEIGHT = 3  # of the number of photos, relative to one category


def count_table(groups: Sequence[Sequence[str]], counts: Mapping[str, Mapping[int, int]]) -> Floats:
    """Return (G, 1 + C): for each group the number of photos, then of segments by category.

    `counts` are the numbers of segments of each photo, by category.
    """
    column = {c: i for i, c in enumerate(sorted({c for one in counts.values() for c in one}), 1)}
    table = np.zeros((len(groups), 1 + len(column)))
    for row, group in enumerate(groups):
        table[row, 0] = len(group)
        for name in group:
            for category, count in counts[name].items():
                table[row, column[category]] += count
    return table


def assign_splits(
    table: Floats, fixed: Sequence[str | None], shares: Mapping[str, float]
) -> list[str]:
    """Return a split for each row of `table`, (G, 1 + C): photos, then segments by category.

    Rows whose `fixed` split is given keep it. The others are first assigned by iterative
    stratification (Sechidis et al., 2011): the rarest category first, each row to the split that
    lacks most of it. Then rows are moved or swapped as long as this brings the splits closer to
    `shares`. No category with LEAST_GROUPS rows is missing from a split.
    """
    names = [name for name, share in shares.items() if share > 0]
    names += [name for name in shares if name not in names]
    share = np.array([shares[name] for name in names])
    place = np.array([-1 if name is None else names.index(name) for name in fixed], np.intp)
    movable = place < 0
    wanted = share[:, None] * table.sum(axis=0)
    usable = int(np.count_nonzero(share))
    _assign_rarest_first(table, place, wanted[:usable])
    _improve(table, place, wanted, movable, usable)
    return [names[index] for index in place]


def _sums(table: Floats, place: NDArray[np.intp], count: int) -> Floats:
    """Return the (S, 1 + C) sums of the rows of each split."""
    return np.stack([table[place == split].sum(axis=0) for split in range(count)])


def _assign_rarest_first(table: Floats, place: NDArray[np.intp], wanted: Floats) -> None:
    """Assign the rows whose place is -1."""
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
    """Repeat the move of a row, or else the swap of two, that reduces the cost most."""
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
                    others = np.array([-1])  # no row in exchange
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
    """Divide the rows into blocks with few numbers; return none if there are too many numbers."""
    if not 0 < numbers < _MOST_COMPARED:
        return []
    return np.array_split(rows, min(len(rows), 1 + numbers // _AT_ONCE))


def _differences(values: Floats, rows: NDArray[np.intp], others: NDArray[np.intp]) -> Floats:
    """Return the (R, O, C) differences if a row leaves and another one (-1: none) arrives."""
    back = np.where((others >= 0)[:, None], values[others], 0)
    return np.asarray(values[rows][:, None] - back[None])


def _costs(error: Floats, groups: Floats, needed: NDArray[np.bool_]) -> Floats:
    """Return the cost, (...,), of a split with these errors and numbers of groups, (..., C).

    The cost is the sum of squared errors of the shares, in which photos have more weight. For
    categories with enough groups, errors above TOLERANCE cost much more. A category that is missing
    from the split costs the most.
    """
    weights = np.ones(error.shape[-1])
    weights[0] = PHOTO_WEIGHT
    beyond = np.maximum(np.abs(error) - TOLERANCE, 0) * needed
    missing = ((groups < 0.5) & needed).sum(axis=-1)
    return np.asarray((weights * error**2 + 5 * beyond).sum(axis=-1) + 10.0 * missing)
