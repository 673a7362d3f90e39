"""Processes that divide each batch among the cores of a CPU, started by the training itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from base.errors import InputError
from detr.config import TrainConfig
from detr.training.local_processes import local_count, train_in_processes
from detr.training.processes import Processes
from detr.training.train import train
from tests.detr.drawn import draw_set
from tests.detr.training.runs import CONFIG, FAST, read_log, run_config

SIMPLE = replace(FAST, batch_size=4, epochs=2, precision="float32", score_every=2)


def train_run(processes: Processes, panoptic: Path, folder: Path, config: TrainConfig) -> None:
    train(panoptic, folder, run_config(config), "joint", processes)


def fail_in_the_other(processes: Processes) -> None:
    if not processes.is_first:
        raise InputError("photo.png: damaged")
    processes.barrier()


def be_killed_in_the_other(processes: Processes) -> None:
    if not processes.is_first:
        os.kill(os.getpid(), signal.SIGKILL)
    processes.barrier()


def fail_in_the_first(processes: Processes) -> None:
    if processes.is_first:
        raise InputError("no memory")
    processes.barrier()


def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    # the second step has only one of the 5 photos, so one of the two processes has none
    panoptic, threads = draw_set(tmp_path / "panoptic", train=5, test=3), torch.get_num_threads()
    train_in_processes(train_run, (panoptic, tmp_path / "two", SIMPLE), 2)
    train_in_processes(train_run, (panoptic, tmp_path / "one", SIMPLE), 1)
    for line, expected in zip(read_log(tmp_path / "two"), read_log(tmp_path / "one"), strict=True):
        for part in ("train", "test"):
            assert line[part] == pytest.approx(expected[part], rel=2e-3, abs=2e-3)
        assert line["lr"] == expected["lr"]
    assert torch.get_num_threads() == threads
    assert not torch.distributed.is_initialized()


class EndsTheProcess:
    """A value that ends the process that receives it."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (3,)


def test_a_process_that_does_not_start_is_not_waited_for() -> None:
    with pytest.raises(InputError, match="a training process ended with code 3"):
        train_in_processes(train_run, (EndsTheProcess(),), 2)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (fail_in_the_other, r"^photo\.png: damaged$"),
        (be_killed_in_the_other, r"ended with code -9; the system may have killed it"),
        (fail_in_the_first, "^no memory$"),
    ],
)
def test_the_first_process_reports_every_error(function: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_in_processes(function, (), 2)  # type: ignore[arg-type]
    assert not torch.distributed.is_initialized()


def test_only_the_fast_variant_on_a_cpu_starts_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detr.training.local_processes.count_cores", lambda: 6)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert local_count(SIMPLE) == 4
    assert local_count(replace(SIMPLE, batch_size=16)) == 6
    assert local_count(replace(CONFIG, batch_size=4)) == 1
    monkeypatch.setenv("RANK", "0")
    assert local_count(SIMPLE) == 1


def be_killed_while_the_first_works_alone(processes: Processes) -> None:
    if not processes.is_first:
        is_blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        os.kill(os.getpid(), signal.SIGKILL if is_blocked else signal.SIGTERM)
    time.sleep(120)


WAITING = """
import detr
from detr.training import local_processes
from tests.detr.training.test_local_processes import be_killed_while_the_first_works_alone as work

local_processes.DEATH_SECONDS = 1
if __name__ == "__main__":
    local_processes.train_in_processes(work, (), 2)
"""


def test_the_death_of_a_process_is_noticed_without_communication() -> None:
    """And Ctrl-C does not reach the process before; its first module would print a traceback."""
    done = subprocess.run(
        [sys.executable, "-c", WAITING],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: a training process ended with code -9; the system may")
    assert done.stderr.count("\n") == 1
