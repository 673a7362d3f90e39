from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from errno import ENOSPC

import pytest

from base import workers
from base.errors import InputError


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use several processes for a few tasks, even on one core."""
    monkeypatch.setattr(workers, "count_cores", lambda: 2)
    monkeypatch.setattr(workers, "FEW", 10)


def double(value: int) -> int:
    return value * 2


def exit_with(status: int) -> None:
    os._exit(status)


@pytest.mark.usefixtures("processes")
def test_results_are_in_the_order_of_the_tasks() -> None:
    assert list(workers.in_processes(double, range(100))) == [2 * i for i in range(100)]


@pytest.mark.usefixtures("processes")
def test_tasks_are_taken_only_when_needed() -> None:
    taken = 0

    def tasks() -> Iterator[int]:
        nonlocal taken
        while taken < 100_000:
            yield taken
            taken += 1

    results = workers.in_processes(double, tasks())
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    assert taken < 10_000
    results.close()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("processes")
def test_a_killed_process_is_reported() -> None:
    with pytest.raises(InputError, match="a process was killed"):
        list(workers.in_processes(exit_with, range(1, 100)))


def test_batches_keep_the_order_and_the_last_may_be_shorter() -> None:
    assert list(workers.batched(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(workers.batched([], 2)) == []


@pytest.mark.usefixtures("processes")
def test_full_shared_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    monkeypatch.setattr(type(multiprocessing.get_context("spawn")), "Lock", full)
    with pytest.raises(OSError, match=r"No space left on device: [\d,]+ bytes free: '/dev/shm/"):
        list(workers.in_processes(double, range(100)))
