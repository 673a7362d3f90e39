"""Press Ctrl-C at random moments of `review`, `annotate` and `train`.

    .venv/bin/python -m benchmarks.ctrl_c                     50 moments of each
    .venv/bin/python -m benchmarks.ctrl_c 5 --only review     5 moments of one command

The moments are spread evenly over the life of a program, from its start to its end or, if it waits
for a person, to 2 seconds after it began to wait. Each program is started as a terminal starts it,
whose Ctrl-C reaches the program and its children, and by a script in the background with `&`, which
tells it to ignore Ctrl-C; there, `kill -INT` sends it to the program alone. Counted are:

    early    moments before the project's code ran: Python shows a traceback, or ignores the signal
    ended    moments at which the program had ended, or had done its work
    alive    programs, or processes started by them, that were still there after 30 seconds
    trace    programs that printed a traceback
    status   programs whose exit status was not that of a stopped program

The output of a program that counts as one of the last three is printed.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from annotation.dataset import open_dataset
from benchmarks.kills import draw
from conversion.building.build import convert
from tests.annotation.labeling.labelme_window import virtual_screen
from tests.drawn import free_port
from tests.predicted import run_that_predicts

ROOT = Path(__file__).parents[1]
SECONDS = 30.0  # in which a program must end
ENDING = 1.0  # seconds that Python takes to end after the work is done
WAITING = 2.0  # seconds during which a program waits for a person
STATUSES = (130, -signal.SIGINT)  # of a stopped program: by its own code, or by the system's
EARLY = (-signal.SIGINT, 1)  # of Python that is stopped before, or while, it loads its own modules
BACKGROUND = '"$@" & echo $! >"$0"; wait $!'
TINY = (
    *("variant=fast", "epochs=2", "num_workers=0", "tune=0", "score_every=1", "schedule=step"),
    *("min_size=64", "max_size=96", "dec_layers=2", "dim_feedforward=64", "num_queries=12"),
)
HANDLED = "handle_ctrl_c()  # before the imports below, which take a second"  # in pipeline.py
_FRAME = re.compile(r'File "(.+?)", line (\d+)')


@dataclass(frozen=True)
class Program:
    """A subcommand; `waits` is the text that it prints when it waits, if it does."""

    name: str
    arguments: tuple[str, ...]
    waits: str = ""
    background: bool = False

    def command(self, folder: Path) -> list[str]:
        """Return the command that runs it in a folder of its own."""
        values = {"folder": str(folder), "port": str(free_port())}
        words = [word.format(**values) for word in self.arguments]
        command = [sys.executable, str(ROOT / "pipeline.py"), *words]
        if self.background:
            return ["sh", "-c", BACKGROUND, str(folder / "pid"), *command]
        return command


def programs(place: Path) -> list[Program]:
    """Return all programs; what they read is written to `place`."""
    root = place / "set"
    draw(root)
    convert(open_dataset(root))
    run_that_predicts(open_dataset(root), place / "run", "test")
    train = ("train", str(root), "--run", "{folder}/run", "--set", *TINY)
    review = ("review", str(place / "run"), "--dataset", str(root), "--port", "{port}")
    every = [
        Program("review", review, waits="press Ctrl-C"),
        Program("annotate", ("annotate", str(root)), waits="Labelme"),
        Program("train, 1 process", (*train, "batch_size=1")),
        Program("train, 2 processes", (*train, "batch_size=2")),
    ]
    return [replace(one, background=b) for one in every for b in (False, True)]


class Running:
    """A program that was started, with its output in files."""

    def __init__(self, program: Program, folder: Path, env: dict[str, str]) -> None:
        self._program, self._folder = program, folder
        with (folder / "output").open("w") as output:
            self._shell = subprocess.Popen(
                program.command(folder),
                cwd=ROOT,
                env={**env, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.pid = self._pid()

    def _pid(self) -> int:
        path = self._folder / "pid"
        while self._program.background and not (path.exists() and path.read_text().strip()):
            time.sleep(0.001)
        return int(path.read_text()) if self._program.background else self._shell.pid

    def output(self) -> str:
        return (self._folder / "output").read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        """Return the program and the processes that it has started."""
        with suppress(psutil.NoSuchProcess):
            program = psutil.Process(self.pid)
            return [program, *program.children(recursive=True)]
        return []

    def waits(self) -> bool:
        """Return whether it waits for a person."""
        if self._program.waits == "Labelme":
            return any("labelme" in " ".join(_words(one)) for one in self.processes()[1:])
        return bool(self._program.waits) and self._program.waits in self.output()

    def status(self) -> int | None:
        return self._shell.poll()

    def press(self) -> None:
        """Send Ctrl-C as a terminal does, or as `kill -INT` does."""
        (os.kill if self._program.background else os.killpg)(self.pid, signal.SIGINT)

    def end(self) -> None:
        """Kill what is left."""
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()


def _words(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return list(process.cmdline())
    return []


@contextmanager
def running(program: Program, env: dict[str, str]) -> Iterator[Running]:
    """Start a program in a new folder; end it, whatever happens."""
    with tempfile.TemporaryDirectory() as folder:
        started = Running(program, Path(folder), env)
        try:
            yield started
        finally:
            started.end()


def life(program: Program, env: dict[str, str]) -> float:
    """Return the seconds that a program runs until it ends, or waits for a person."""
    with running(program, env) as started:
        start = time.monotonic()
        while started.status() is None and not started.waits():
            time.sleep(0.05)
        seconds = time.monotonic() - start
        assert program.waits or started.status() == 0, started.output()
        return seconds + (WAITING if program.waits else 0.0)


def press_at(moment: float, program: Program, env: dict[str, str]) -> list[str]:
    """Press Ctrl-C after this number of seconds; return what is counted."""
    with running(program, env) as started:
        time.sleep(moment)
        if started.status() is not None:
            return ["ended"]
        early = _is_ignored(started.pid)
        processes = started.processes()
        started.press()
        end = time.monotonic() + SECONDS
        while started.status() is None and time.monotonic() < end:
            time.sleep(0.02)
        pressed, status, text = time.monotonic() - end + SECONDS, started.status(), started.output()
        psutil.wait_procs(processes, timeout=max(0.0, end - time.monotonic()))
        left = [_words(one) for one in processes if one.is_running() and _words(one)]
        if early or (status in EARLY and _is_early(text)):
            return ["early"]
        if status == 0 and not program.waits and pressed < ENDING:
            return ["ended"]
        # `review` has done its work when it opens the App
        allowed = (*STATUSES, 0) if "App: stopped" in text else STATUSES
        found = ["alive"] * bool(status is None or left)
        found += ["trace"] * ("Traceback" in text or "Exception ignored" in text)
        found += ["status"] * (status is not None and status not in allowed)
        if found:
            print(f"--- {program.name}, {moment:.2f} s: {found}, status {status}, {pressed:.1f} s")
            print(f"left: {left}\n{text}\n---", flush=True)
        return found or ["stopped"]


def _is_ignored(pid: int) -> bool:
    """Return whether a process ignores Ctrl-C, as a script tells it to."""
    with suppress(OSError):
        mask = re.search(r"SigIgn:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
        return mask is not None and bool(int(mask[1], 16) >> (signal.SIGINT - 1) & 1)
    return False


def _is_early(text: str) -> bool:
    """Return whether Ctrl-C came before the project's code handles it."""
    lines = (ROOT / "pipeline.py").read_text().splitlines()
    handled = lines.index("    " + HANDLED) + 1
    frames = [(Path(file).name, int(number)) for file, number in _FRAME.findall(text)]
    late = any(name == "pipeline.py" and number > handled for name, number in frames)
    return not text or ("KeyboardInterrupt" in text and not late)


def main() -> None:
    """Print a line for each program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("moments", nargs="?", type=int, default=50)
    parser.add_argument("--only", default="", help="programs whose names begin with this")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        virtual_screen(Path(folder, "home")) as screen,
    ):
        env = {**screen, "FIFTYONE_DATABASE_DIR": str(Path(folder, "mongo"))}
        for program in programs(Path(folder)):
            if program.name.startswith(options.only):
                seconds, counts = life(program, env), Counter[str]()
                for _ in range(options.moments):
                    counts.update(press_at(chance.uniform(0, seconds), program, env))
                how = "in the background" if program.background else "in a terminal"
                result = ", ".join(f"{n} {counts[n]}" for n in COUNTED)
                print(f"{program.name}, {how}: {seconds:.1f} s; {result}", flush=True)


COUNTED = ("stopped", "early", "ended", "alive", "trace", "status")

if __name__ == "__main__":
    main()
