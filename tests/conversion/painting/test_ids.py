from __future__ import annotations

import numpy as np
import pytest

from base.errors import InputError
from conversion.painting.ids import LIMIT, block_begin, first_ids


def allocate_ids(needs: dict[str, int]) -> dict[str, int]:
    names = sorted(needs, key=lambda name: (block_begin(name), name))
    begins = np.array([block_begin(name) for name in names], np.int64)
    found = first_ids(begins, np.array([needs[name] for name in names], np.int64))
    return dict(zip(names, found.tolist(), strict=True))


def check(needs: dict[str, int]) -> dict[str, int]:
    """Return first ids; check that no blocks overlap and that all ids are valid."""
    first = allocate_ids(needs)
    ordered = sorted((first[name], max(1, needs[name])) for name in needs)
    ends = [start + size for start, size in ordered]
    assert ordered[0][0] >= 1
    assert ends[-1] <= LIMIT
    assert all(end <= start for end, (start, _) in zip(ends, ordered[1:], strict=False))
    return first


def test_blocks_never_overlap_even_when_nearly_all_ids_are_used() -> None:
    rng = np.random.default_rng(0)
    for most in (3, 300, 3300):
        needs = {f"p{i}": int(n) for i, n in enumerate(rng.integers(0, most, 10_000))}
        check(needs)
    rest = LIMIT - 1 - sum(max(1, n) for n in needs.values())
    check({**needs, "rest": rest})
    with pytest.raises(InputError, match=r"16,777,215 segments.*found up to 16,777,216"):
        allocate_ids({**needs, "rest": rest + 1})


def test_a_new_photo_changes_hardly_any_ids() -> None:
    needs = {f"p{i}": 10 for i in range(10_000)}
    before, after = check(needs), check({**needs, "new": 10})
    assert sum(before[name] != after[name] for name in needs) <= 5
    changed = check({**needs, "p5": 25})
    assert sum(before[name] != changed[name] for name in needs) <= 5


def test_the_order_does_not_matter_and_no_photos_have_no_ids() -> None:
    needs = {f"p{i}": i for i in range(50)}
    assert allocate_ids(dict(reversed(needs.items()))) == allocate_ids(needs)
    assert allocate_ids({}) == {}
