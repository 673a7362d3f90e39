"""Training on the cores of a CPU with several processes, which divide the photos of every batch.

Threads that share a batch wait for each other after every operation, which keeps two cores busy
three quarters of the time at best; processes only do so at the end of a step.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import torch
from torch import distributed

from base.errors import InputError
from base.workers import count_cores
from detr.training.processes import Processes, join_processes

LAST_WORDS = 2.0  # seconds to wait for the error of a process that failed


def local_count(variant: str, batch_size: int) -> int:
    """Return with how many processes a run is trained: on a CPU, one per core and photo at most.

    It is 1 if torchrun has started processes, if there is a GPU, or for the published variant,
    whose large operations keep all cores busy.
    """
    if "RANK" in os.environ or torch.cuda.is_available() or variant != "fast":
        return 1
    return max(1, min(count_cores(), batch_size))


def train_in_processes(
    function: Callable[..., None], arguments: tuple[Any, ...], count: int
) -> None:
    """Call `function(processes, *arguments)` in this process, the first, and in `count` - 1 others.

    `function` and `arguments` must be picklable. Raises InputError if another process fails or is
    killed, with its message.
    """
    if count == 1:
        with join_processes() as processes:
            function(processes, *arguments)
        return
    context = multiprocessing.get_context("spawn")
    others: list[SpawnProcess] = []
    errors: list[Connection] = []
    folder = TemporaryDirectory()  # where the processes find each other
    meeting = Path(folder.name, "processes").as_uri()
    try:
        for rank in range(1, count):
            receiver, sender = context.Pipe(duplex=False)
            target = (rank, count, meeting, sender, function, arguments)
            process = context.Process(target=_run_other, args=target, daemon=True)
            process.start()
            sender.close()
            others.append(process)
            errors.append(receiver)
        with _joined(0, count, meeting) as processes:
            try:
                function(processes, *arguments)
            except BaseException as error:
                failed = isinstance(error, RuntimeError)  # as exchanges with an ended process do
                message = _first_error(others, errors) if failed else None
                for process in others:
                    process.kill()  # before this process leaves the group and waits for them
                if message is None:
                    raise
                raise InputError(message) from error
    finally:
        for process in others:
            process.kill()
            process.join()
        folder.cleanup()


def _run_other(
    rank: int,
    count: int,
    meeting: str,
    errors: Connection,
    function: Callable[..., None],
    arguments: tuple[Any, ...],
) -> None:
    """Run one of the other processes, which print nothing and report an error through `errors`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)
    with _joined(rank, count, meeting) as processes:
        try:
            function(processes, *arguments)
        except Exception as error:  # reported before the group, and so the first process, fails
            known = isinstance(error, InputError)
            errors.send(str(error) if known else f"{type(error).__name__}: {error}")


@contextmanager
def _joined(rank: int, count: int, meeting: str) -> Iterator[Processes]:
    """Join the group as process number `rank`; threads are restored at the end.

    The processes meet at the file with the URI `meeting` and talk on the loopback interface only.
    """
    threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(max(1, count_cores() // count))
    cv2.setNumThreads(1)
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=count)
    try:
        yield Processes(rank, count, torch.device("cpu"), divides_batch=True)
    finally:
        distributed.destroy_process_group()
        torch.set_num_threads(threads)
        cv2.setNumThreads(cv_threads)


def _first_error(others: list[SpawnProcess], errors: list[Connection]) -> str | None:
    """Return the error of a process that has failed; None if none has."""
    for process, receiver in zip(others, errors, strict=True):
        try:
            if receiver.poll(LAST_WORDS):
                return str(receiver.recv())
        except EOFError:  # it was killed before it could send anything
            process.join(LAST_WORDS)
            if process.exitcode:
                return (
                    f"a training process ended with code {process.exitcode}; the system may have"
                    " killed it for its memory: lower batch_size or max_size"
                )
    return None
