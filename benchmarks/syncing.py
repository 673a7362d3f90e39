"""What synchronising files with the disk costs `convert`, `import` and `sample`.

    .venv/bin/python -m benchmarks.syncing              200 photos of 640x480, 3 rounds
    .venv/bin/python -m benchmarks.syncing 50 1         50 photos, 1 round

Each command runs in turn as it is, and with fsync and syncfs replaced by functions that do nothing,
on one core. Printed are the medians of the wall times, and the time spent in fsync and syncfs,
which depends less on other programs. The disk is the one of the folder for temporary files.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from annotation.dataset import open_dataset
from base import syncing
from benchmarks.conversion import make_set
from conversion.building.build import convert
from conversion.importing.importer import import_coco
from samples.yard.sample import render_yard

SAMPLED = 10  # fewer photos: rendering one takes half a second
_fsync, _sync_file_system = os.fsync, syncing._sync_file_system


@contextmanager
def timed_syncing(*, enabled: bool) -> Iterator[list[float]]:
    """Collect the seconds of each synchronisation, or do without."""
    seconds: list[float] = []

    def timed(sync: Callable[[int], None]) -> Callable[[int], None]:
        def call(descriptor: int) -> None:
            start = time.perf_counter()
            if enabled:
                sync(descriptor)
            seconds.append(time.perf_counter() - start)

        return call

    os.fsync = timed(_fsync)  # type: ignore[assignment]
    syncing._sync_file_system = timed(_sync_file_system)
    try:
        yield seconds
    finally:
        os.fsync, syncing._sync_file_system = _fsync, _sync_file_system


def measure(
    name: str, command: Callable[[], object], drawn: Path, place: Path
) -> tuple[float, float, float, int]:
    """Return the seconds with and without, the seconds of synchronising, and how often it was."""
    wall, synchronised = [], []
    for enabled in (True, False):
        shutil.rmtree(place, ignore_errors=True)
        if name == "convert":
            shutil.copytree(drawn, place, ignore=shutil.ignore_patterns("panoptic", ".*"))
        os.sync()
        with timed_syncing(enabled=enabled) as seconds:
            start = time.perf_counter()
            command()
            wall.append(time.perf_counter() - start)
        synchronised.append(seconds)
    return wall[0], wall[1], sum(synchronised[0]), len(synchronised[0])


def main() -> None:
    """Print a line for each command."""
    photos = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # other processes would not be timed
    with tempfile.TemporaryDirectory() as folder:
        drawn, place = Path(folder, "drawn"), Path(folder, "place")
        make_set(drawn, 640, 480, photos)
        convert(open_dataset(drawn))
        commands: dict[str, Callable[[], object]] = {
            "convert": lambda: convert(open_dataset(place)),
            "import": lambda: import_coco(drawn / "panoptic", place),
            "sample": lambda: render_yard(place, images=SAMPLED),
        }
        for name, command in commands.items():
            results = [measure(name, command, drawn, place) for _ in range(rounds)]
            synced, unsynced, spent, calls = map(median, zip(*results, strict=True))
            print(
                f"{name}: {synced:.2f} s, without {unsynced:.2f} s;"
                f" {calls:.0f} synchronisations took {spent:.2f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
