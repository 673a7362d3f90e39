"""Run tasks on all cores and yield their results in order."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from itertools import chain, islice
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from base.ctrl_c import ctrl_c_blocked
from base.errors import InputError
from base.files import naming_full_disk

T = TypeVar("T")
R = TypeVar("R")

FEW = 64  # this many tasks are finished before another process would have started
AT_ONCE = 16  # tasks sent at once; after Ctrl-C, each process still finishes its chunk
_AHEAD = 4  # chunks sent ahead per core: more would only fill the memory
_SHARED_MEMORY = Path("/dev/shm/locks")  # where the system keeps the locks of processes
_alone: AbstractContextManager[object] = threading.Lock()
_function: Callable[[Any], Any]


def in_processes(
    function: Callable[[T], R],
    tasks: Iterable[T],
    *,
    prepare: Callable[[], object] | None = None,
    at_once: int = AT_ONCE,
) -> Iterator[R]:
    """Yield the results of `function` in the order of `tasks`.

    Each process calls `prepare` first, and receives `at_once` tasks at a time: fewer if a task
    takes longer than starting a process. Both functions must be importable. Tasks are taken when
    they are needed, so there may be any number of them. A few tasks, or all on one core, are
    finished in this process, without `prepare`. Raises InputError if a process is killed, and
    OSError with the path if the shared memory is full.
    """
    cores, rest = count_cores(), iter(tasks)
    few = FEW * at_once // AT_ONCE
    first = list(islice(rest, few + 1))
    if len(first) <= few or cores == 1:
        yield from map(function, chain(first, rest))
        return
    context = multiprocessing.get_context("spawn")
    with naming_full_disk(_SHARED_MEMORY):
        start = (context.Lock(), function, prepare)
        pool = ProcessPoolExecutor(cores, mp_context=context, initializer=_start, initargs=start)
    chunks = batched(chain(first, rest), at_once)
    try:
        with ctrl_c_blocked(), without_main():  # the processes start with the first chunks
            sent = deque(pool.submit(_call, chunk) for chunk in islice(chunks, cores * _AHEAD))
        while sent:
            results = sent.popleft().result()
            with without_main():
                sent.extend(pool.submit(_call, chunk) for chunk in islice(chunks, 1))
            yield from results
    except BrokenProcessPool:
        raise InputError("a process was killed, probably because memory ran out") from None
    finally:
        pool.shutdown(cancel_futures=True)


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` items; the last may be shorter (in itertools since Python 3.12)."""
    rest = iter(items)
    return iter(lambda: list(islice(rest, size)), [])


def alone() -> AbstractContextManager[object]:
    """Return a context that one process enters at a time, for tasks that need a lot of memory."""
    return _alone


def count_cores() -> int:
    """Count the cores that this process may use; containers and `taskset` can limit them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def without_main() -> Iterator[None]:
    """Keep the processes that start inside from importing the program's main file.

    They do not need it, and a script that calls this project outside of `if __name__ ==
    "__main__"` would otherwise start again in each of them.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _start(
    lock: AbstractContextManager[object],
    function: Callable[[Any], Any],
    prepare: Callable[[], object] | None,
) -> None:
    """Set up a process; `lock` and `function`, the same for all tasks, are sent only once."""
    global _alone, _function
    _alone, _function = lock, function
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare()


def _end_with_parent() -> None:
    """End this process when its parent is killed; otherwise it would wait forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(tasks: list[Any]) -> list[Any]:
    return [_function(task) for task in tasks]
