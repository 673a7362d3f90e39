"""Work in all cores at once, with the results in the order of the tasks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from itertools import chain, islice
from typing import Any, TypeVar

import cv2

from base.errors import InputError

T = TypeVar("T")
R = TypeVar("R")

FEW = 64  # tasks that are done sooner than another process has started
_CHUNK = 16  # tasks sent at once; also what is still finished after Ctrl-C
_AHEAD = 4  # chunks on their way for each core: more would only fill the memory
_alone: AbstractContextManager[object] = threading.Lock()
_function: Callable[[Any], Any]


def in_processes(function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
    """Results of `function`, which has to be importable, in the order of `tasks`.

    Tasks are taken as they are needed, so that there may be any number of them.
    """
    cores, rest = _cores(), iter(tasks)
    first = list(islice(rest, FEW + 1))
    if len(first) <= FEW or cores == 1:
        yield from map(function, chain(first, rest))
        return
    context = multiprocessing.get_context("spawn")
    start = (context.Lock(), function)
    pool = ProcessPoolExecutor(cores, mp_context=context, initializer=_start, initargs=start)
    chunks = batched(chain(first, rest), _CHUNK)
    try:
        with _deaf_to_ctrl_c():  # the first ones start the processes
            sent = deque(pool.submit(_call, chunk) for chunk in islice(chunks, cores * _AHEAD))
        while sent:
            results = sent.popleft().result()
            sent.extend(pool.submit(_call, chunk) for chunk in islice(chunks, 1))
            yield from results
    except BrokenProcessPool:
        raise InputError("a process died, most likely for want of memory; try again") from None
    finally:
        pool.shutdown(cancel_futures=True)


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, `size` at a time (Python 3.12 has it in itertools)."""
    rest = iter(items)
    return iter(lambda: list(islice(rest, size)), [])


def alone() -> AbstractContextManager[object]:
    """For tasks that need much memory: only one process at a time is inside."""
    return _alone


def _cores() -> int:
    """Cores that this process may use: containers and `taskset` give fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started inside never hear Ctrl-C, which is their parent's to answer."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(lock: AbstractContextManager[object], function: Callable[[Any], Any]) -> None:
    """Get a process ready; what is the same for all tasks is sent here, once."""
    global _alone, _function
    _alone, _function = lock, function
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Windows, where nothing is inherited
    warnings.simplefilter("ignore")  # Pillow warns of odd metadata
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """A killed parent can't say that it is over; its processes would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(tasks: list[Any]) -> list[Any]:
    return [_function(task) for task in tasks]
