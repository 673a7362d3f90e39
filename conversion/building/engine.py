"""Running tasks in processes on this machine, or on the machines of a Dask cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from annotation.photos.processes import prepare_process
from base.errors import InputError
from base.workers import batched, in_processes

T = TypeVar("T")
R = TypeVar("R")

_CHUNK = 32  # tasks that a worker receives at once
_AHEAD = 4  # chunks that wait for each worker: more would only fill the memory


def run_tasks(function: Callable[[T], R], tasks: Iterable[T], scheduler: str | None) -> Iterator[R]:
    """Yield the results of `function` in any order.

    With `scheduler`, the address of a Dask scheduler, the tasks run on its workers. These need this
    project, the same versions of packages, and the data set at the same path. Raises InputError if
    the scheduler cannot be reached or its workers die repeatedly.
    """
    if scheduler is None:
        yield from in_processes(function, tasks, prepare=prepare_process)
    else:
        yield from _on_cluster(function, tasks, scheduler)


def _on_cluster(function: Callable[[T], R], tasks: Iterable[T], scheduler: str) -> Iterator[R]:
    from distributed import Client, as_completed
    from distributed.scheduler import KilledWorker

    logging.getLogger("distributed").setLevel(logging.ERROR)
    try:
        client = Client(scheduler, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(
            f"--scheduler {scheduler}: expected the address of a Dask scheduler: {reason}"
        ) from None
    with client:
        if not client.scheduler_info()["workers"]:
            raise InputError(f"--scheduler {scheduler}: has no workers; start some first")
        remote = client.scatter(function, broadcast=True)
        chunks = batched(tasks, _CHUNK)

        def send(count: int) -> list[Any]:
            return [client.submit(_each, remote, c, pure=False) for c in islice(chunks, count)]

        ahead = _AHEAD * len(client.scheduler_info()["workers"])
        running = as_completed(send(ahead), loop=client.loop)
        try:
            for done in running:
                yield from done.result()
                for future in send(1):
                    running.add(future)
        except KilledWorker as error:
            raise InputError(f"--scheduler {scheduler}: workers died: {error}") from None


def _each(function: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
    return [function(task) for task in tasks]
