"""Commands that write to one set wait for each other."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from annotation.dataset import open_dataset
from annotation.intake.collect import collect
from base.locks import working_on
from commands.annotation import validate
from conversion.building.build import convert
from conversion.importing.importer import import_coco
from samples.yard.sample import render_yard
from tests.annotation.fixing.fixed import contents
from tests.annotation.intake.collected import photo, write_files
from tests.conversion.building.builds import draw
from tests.conversion.importing.coco_files import TRIANGLE, coco, instance
from tests.drawn import draw_photo, square

FORK = multiprocessing.get_context("fork")


def _sample(root: Path) -> None:
    render_yard(root, images=1)


def _collect(root: Path) -> None:
    source = write_files(root.parent / "photos", {"a.jpg": photo(1)})
    collect([source], root)


def _import(root: Path) -> None:
    import_coco(coco(root.parent / "coco", instance(1, [TRIANGLE])), root)


def _convert(root: Path) -> None:
    convert(open_dataset(root))


def _fix(root: Path) -> None:
    with suppress(SystemExit):  # the set has other findings
        validate(root, fix=True)


def _confirm(root: Path) -> None:
    with suppress(SystemExit):
        validate(root, confirm=True)


def _run(command: Callable[[Path], object], root: Path, output: Path) -> None:
    with output.open("w") as file:
        sys.stdout = file
        os.dup2(file.fileno(), 1)
        command(root)


@pytest.mark.parametrize("command", [_sample, _collect, _import, _convert, _fix, _confirm])
def test_a_command_waits_until_another_one_ends(
    tmp_path: Path, command: Callable[[Path], object]
) -> None:
    root, output = tmp_path / "set", tmp_path / "output"
    if command in (_convert, _fix, _confirm):
        draw(root, 2)
        draw_photo(root, "p000", [square("bxo", 2, 2, 5), square("box", 12, 12, 8)])
        (root / "labelme/p001.json.orig").write_bytes(b"{}")
    with working_on(root, "annotate"):
        before = contents(root)
        program = FORK.Process(target=_run, args=(command, root, output))
        program.start()
        waiting = f"{root}: waiting for `annotate` (process {os.getpid()} on "
        deadline = time.monotonic() + 60
        while not (output.exists() and waiting in output.read_text()):
            assert program.is_alive(), output.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert contents(root) == before
    program.join(60)
    assert program.exitcode == 0
    assert contents(root) != before
    assert not (root / ".lock").exists()
