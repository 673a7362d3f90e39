"""Kill each command that writes to a data set at random moments, and complete it.

    .venv/bin/python -m benchmarks.kills                       20 kills of each command
    .venv/bin/python -m benchmarks.kills 100 --only convert    100 kills of some

After each kill, every file under its final name must be complete: it is a file of the finished set,
or of the set before the command. The same command must then end in the state of an uninterrupted
run. `benchmarks.kills_of_runs` does the same to commands that write to a run or to FiftyOne.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from annotation.dataset import open_dataset
from annotation.intake.collect import collect
from annotation.labelme.annotation import Annotation, Shape, write_annotation
from base.locks import working_on
from conversion.building.build import convert
from conversion.building.check import check
from conversion.importing.importer import import_coco
from conversion.painting.owners import paint_owners
from samples.yard.sample import render_yard

PHOTOS, SIZE = 12, (120, 160)
YAML = """\
name: kills
things: [box]
stuff: [road]
stuff_sources: [{label_maps: stuff}]
split: {train: 0.5, test: 0.5, seed: 0}
limits: {few: 0}
"""
_FORK = multiprocessing.get_context("fork")


def contents(root: Path) -> dict[str, bytes]:
    """Return the files of a folder by path, without the cache and hidden files."""
    files = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    visible = (one for one in files if not any(part.startswith(".") for part in one.parts))
    return {one.as_posix(): (root / one).read_bytes() for one in visible}


@dataclass(frozen=True)
class Case:
    """A command on a folder, which `prepare` fills.

    `reset` is called each time that the folder has been filled; it prepares what is elsewhere, such
    as a database. `state` returns what is compared. If that is not the contents of files, it must
    raise no error after a kill, because it reads what the command had written.
    """

    name: str
    prepare: Callable[[Path], object]
    command: Callable[[Path], object]
    state: Callable[[Path], Any] = contents
    reset: Callable[[Path], object] = lambda _: None


def draw(root: Path, *, label: str = "box", first: int = 0) -> None:
    """Write photos with a drawing and a label map each."""
    for folder in ("images", "labelme", "stuff"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(PHOTOS):
        x = 5.0 + number + first
        corners = ((x, 5.0), (x + 40, 5.0), (x + 40, 60.0), (x, 60.0))
        pixels = np.random.default_rng(number).integers(0, 255, (*SIZE, 3), np.uint8)
        cv2.imwrite(str(root / f"images/{number}.png"), pixels)
        cv2.imwrite(str(root / f"stuff/{number}.png"), np.full(SIZE, 149, np.uint8))
        drawing = Annotation(f"../images/{number}.png", *SIZE, (Shape(label, corners),))
        write_annotation(root / f"labelme/{number}.json", drawing)
    (root / "dataset.yaml").write_text(YAML)


def fix(root: Path) -> None:
    """Do what `validate --fix` does."""
    from annotation.fixing.fix import fix_dataset

    with working_on(root, "validate --fix"):
        dataset = open_dataset(root)
        fix_dataset(dataset, check(dataset), paint=paint_owners)


def converted(root: Path) -> None:
    """Write a set, convert it, and change all its drawings."""
    draw(root)
    convert(open_dataset(root))
    draw(root, first=20)


def other_splits(root: Path) -> None:
    """Write a set, convert it, and change its splits."""
    draw(root)
    convert(open_dataset(root))
    (root / "dataset.yaml").write_text(YAML.replace("test: 0.5", "val: 0.5"))


def cases(place: Path) -> list[Case]:
    """Return all cases; sources are written to `place`."""
    draw(place / "source")
    convert(open_dataset(place / "source"))
    return [
        Case("sample", lambda _: None, lambda root: render_yard(root, images=2)),
        Case("collect", lambda _: None, lambda root: collect([place / "source/images"], root)),
        Case("import", lambda _: None, lambda root: import_coco(place / "source/panoptic", root)),
        Case("fix", lambda root: draw(root, label="Box"), fix),
        Case("convert", draw, lambda root: convert(open_dataset(root))),
        Case("convert, changed drawings", converted, lambda root: convert(open_dataset(root))),
        Case("convert, changed splits", other_splits, lambda root: convert(open_dataset(root))),
    ]


def start(function: Callable[[Path], object], root: Path) -> tuple[BaseProcess, Connection]:
    """Call a function in a process; its result is sent through the connection.

    The process that kills calls none itself: torch and FiftyOne must not be forked once they work.
    """
    receiver, sender = _FORK.Pipe(duplex=False)
    program = _FORK.Process(target=lambda: sender.send(function(root)))
    program.start()
    sender.close()
    return program, receiver


def result(function: Callable[[Path], object], root: Path) -> Any:
    """Call a function in a process; return its result. Raises EOFError if it fails."""
    program, receiver = start(function, root)
    found = receiver.recv()
    program.join()
    return found


def run(case: Case, place: Path, kills: int, chance: random.Random) -> str:
    """Kill the command of a case; return a line about it. Raises AssertionError."""
    root = place / "run" / "set"
    template = place / "template" / "set"
    for folder in (root.parent, template.parent):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    template.mkdir()
    result(case.prepare, template)
    before = contents(template)
    shutil.copytree(template, root, symlinks=True)
    result(case.reset, root)
    began = time.monotonic()
    result(case.command, root)
    seconds, whole, unfinished = time.monotonic() - began, result(case.state, root), 0
    for _ in range(kills):
        shutil.rmtree(root)
        shutil.copytree(template, root, symlinks=True)
        result(case.reset, root)
        program, _ = start(case.command, root)
        time.sleep(chance.uniform(0, seconds))
        program.kill()
        program.join()
        left = result(case.state, root)
        unfinished += left != whole
        if case.state is contents:
            check_complete(case, left, whole, before)
        result(case.command, root)
        found = result(case.state, root)
        assert found == whole, f"{case.name}: differs from an uninterrupted run: {found} {whole}"
    return f"{case.name}: {kills} kills, {unfinished} before the end, 0 differ, 0 half files"


def check_complete(
    case: Case, left: dict[str, bytes], whole: dict[str, bytes], before: dict[str, bytes]
) -> None:
    """Raise AssertionError if a file is neither that of the finished set nor that before."""
    # a line is appended for each photo; `predict` lists its files before it writes them
    growing = ("collected.jsonl", "out/manifest.json")
    for name, data in left.items():
        complete = data in (whole.get(name), before.get(name)) or name in growing
        assert complete, f"{case.name}: {name} is incomplete"


def main(cases: Callable[[Path], list[Case]]) -> None:
    """Print a line for each command."""
    parser = argparse.ArgumentParser(description="Kill commands at random moments.")
    parser.add_argument("kills", nargs="?", type=int, default=20)
    parser.add_argument("--only", default="", help="commands whose names begin with this")
    options = parser.parse_args()
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for case in cases(place):
            if case.name.startswith(options.only):
                print(run(case, place, options.kills, chance), flush=True)


if __name__ == "__main__":
    main(cases)
