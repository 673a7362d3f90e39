"""Training on the cores of a CPU with several processes, which divide the photos of every batch.

Threads that share a batch wait for each other after every operation; processes that divide it wait
only at the end of a step, so the cores are idle less.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any

import cv2
import torch
from torch import distributed

from base.ctrl_c import ctrl_c_blocked
from base.errors import InputError
from base.workers import count_cores, without_main
from detr.config import TrainConfig
from detr.training.processes import TIMEOUT, Processes, join_processes

_INTERFACE = "GLOO_SOCKET_IFNAME"  # of the group's connections
ERROR_SECONDS = 2.0  # to wait for the error of another process
DEATH_SECONDS = 20.0  # to notice that another process has ended


def local_count(config: TrainConfig) -> int:
    """Return the number of processes to train with: on a CPU, one per core, but at most batch_size.

    It is 1 if torchrun has started processes, if there is a GPU, and for the published variant,
    whose large operations keep all cores busy.
    """
    if "RANK" in os.environ or torch.cuda.is_available() or config.variant != "fast":
        return 1
    return min(count_cores(), config.batch_size)


def train_in_processes(
    function: Callable[..., None],
    arguments: tuple[Any, ...],
    count: int,
    *,
    only_here: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Call `function(processes, *arguments)` in `count` processes, of which this is the first.

    `function` and `arguments` must be picklable; the keyword arguments `only_here`, which only this
    process receives, need not be. If another process fails or is killed, raises InputError with its
    message.
    """
    if count == 1:
        with join_processes() as processes:
            function(processes, *arguments, **only_here)
        return
    context = multiprocessing.get_context("spawn")
    others: list[SpawnProcess] = []
    errors: list[Connection] = []
    folder, is_done = TemporaryDirectory(), threading.Event()
    rendezvous = Path(folder.name, "rendezvous").as_uri()
    resource_tracker.ensure_running()  # when it starts, it unblocks Ctrl-C
    try:
        for rank in range(1, count):
            receiver, sender = context.Pipe(duplex=False)
            target = (rank, count, rendezvous, sender, function, arguments)
            process = context.Process(target=_run_other, args=target, daemon=True)
            # the first process responds to Ctrl-C, and ends this one
            with ctrl_c_blocked(), without_main():
                process.start()
            sender.close()
            others.append(process)
            errors.append(receiver)
        for process, receiver in zip(
            others, errors, strict=True
        ):  # the group waits for all of them
            if (message := _receive(process, receiver)) is not None:
                raise InputError(message)
        threading.Thread(target=_end_with_others, args=(others, is_done), daemon=True).start()
        with _joined(0, count, rendezvous) as processes:
            try:
                function(processes, *arguments, **only_here)
            except BaseException as error:
                failed = isinstance(error, RuntimeError)  # communication with a process that ended
                message = _first_error(others, errors) if failed else None
                for process in others:
                    process.kill()  # before leaving the group, which could wait for them
                if message is None:
                    raise
                raise InputError(message) from error
    finally:
        is_done.set()
        for process in others:
            process.kill()
            process.join()
        folder.cleanup()


def _end_with_others(others: list[SpawnProcess], is_done: threading.Event) -> None:
    """End this program if another process was killed and the main thread still waits for it.

    Communication with a process that ended usually fails at once, but not while the processes are
    connecting, and not while this one works alone. Every file is complete at any time.
    """
    running = list(others)
    while running:
        ended = connection.wait([process.sentinel for process in running])
        for process in [process for process in running if process.sentinel in ended]:
            running.remove(process)
            if _exit_code(process) and not is_done.wait(DEATH_SECONDS):
                print(f"error: {_death(process)}", file=sys.stderr, flush=True)
                os._exit(2)


def _run_other(
    rank: int,
    count: int,
    rendezvous: str,
    errors: Connection,
    function: Callable[..., None],
    arguments: tuple[Any, ...],
) -> None:
    """Run another process, which prints nothing.

    It sends None through `errors` when it has started, and later its error, if it fails.
    """
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)
    errors.send(None)
    with _joined(rank, count, rendezvous) as processes:
        try:
            function(processes, *arguments)
        except Exception as error:  # sent before this process leaves the group
            known = isinstance(error, InputError)
            errors.send(str(error) if known else f"{type(error).__name__}: {error}")


@contextmanager
def _joined(rank: int, count: int, rendezvous: str) -> Iterator[Processes]:
    """Join the group as process number `rank`; at the end, restore the numbers of threads.

    The processes find each other through a file with the URI `rendezvous`, and communicate only
    over the loopback interface.
    """
    threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(max(1, count_cores() // count))
    cv2.setNumThreads(1)
    with _loopback_only():
        distributed.init_process_group(
            "gloo", init_method=rendezvous, rank=rank, world_size=count, timeout=TIMEOUT
        )
    try:
        yield Processes(rank, count, torch.device("cpu"), divides_batch=True)
    finally:
        distributed.destroy_process_group()
        torch.set_num_threads(threads)
        cv2.setNumThreads(cv_threads)


@contextmanager
def _loopback_only() -> Iterator[None]:
    """Make a new gloo group use the loopback interface, unless the variable is already set."""
    if sys.platform != "linux" or _INTERFACE in os.environ:
        yield
        return
    os.environ[_INTERFACE] = "lo"
    try:
        yield
    finally:
        del os.environ[_INTERFACE]


def _first_error(others: list[SpawnProcess], errors: list[Connection]) -> str | None:
    """Return the error of the first process that has failed; None if none has."""
    for process, receiver in zip(others, errors, strict=True):
        if receiver.poll(ERROR_SECONDS) and (message := _receive(process, receiver)) is not None:
            return message
    return None


def _receive(process: SpawnProcess, receiver: Connection) -> str | None:
    """Receive the next message of a process, or describe how it ended without one."""
    try:
        message: str | None = receiver.recv()
        return message
    except EOFError:
        return _death(process) if _exit_code(process) else None


def _exit_code(process: SpawnProcess) -> int | None:
    """Return the exit code of a process that has closed its connections; None if it still runs.

    A process closes them shortly before its exit code is available, and if two threads ask for the
    code at the same time, only one of them gets it immediately.
    """
    end = monotonic() + ERROR_SECONDS
    while process.exitcode is None and monotonic() < end:
        sleep(0.01)
    return process.exitcode


def _death(process: SpawnProcess) -> str:
    return (
        f"a training process ended with code {process.exitcode}; the system may have killed it for"
        " its memory: lower batch_size or max_size"
    )
