"""Commands that write to one set or to one run wait for each other."""

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
from commands.evaluation import report
from conversion.building.build import convert
from conversion.building.check import check
from conversion.importing.importer import import_coco
from samples.yard.sample import render_yard
from tests.annotation.fixing.fixed import contents
from tests.annotation.intake.collected import photo, write_files
from tests.conversion.building.builds import draw
from tests.conversion.importing.coco_files import TRIANGLE, coco, instance
from tests.drawn import draw_photo, square
from tests.predicted import run_that_predicts

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


def _curate(root: Path) -> None:
    import fiftyone as fo  # takes seconds

    from curation.loading.load import load_dataset

    dataset = open_dataset(root)
    fo.delete_dataset(load_dataset(dataset, check(dataset)))


def _report(root: Path) -> None:
    report(root.parent)


def _run(command: Callable[[Path], object], root: Path, output: Path) -> None:
    with output.open("w") as file:
        sys.stdout = file
        os.dup2(file.fileno(), 1)
        command(root)


@pytest.mark.parametrize(
    "command", [_sample, _collect, _import, _convert, _fix, _confirm, _curate, _report]
)
def test_a_command_waits_until_another_one_ends(
    tmp_path: Path, command: Callable[[Path], object], request: pytest.FixtureRequest
) -> None:
    root, output = tmp_path / "set", tmp_path / "output"
    if command in (_convert, _fix, _confirm):
        draw(root, 2)
        draw_photo(root, "p000", [square("bxo", 2, 2, 5), square("box", 12, 12, 8)])
        (root / "labelme/p001.json.orig").write_bytes(b"{}")
    if command is _curate:
        request.getfixturevalue("mongo")
        draw(root, 2)
        convert(open_dataset(root))
    if command is _report:
        draw(tmp_path / "drawn", 2)
        convert(open_dataset(tmp_path / "drawn"))
        run_that_predicts(open_dataset(tmp_path / "drawn"), tmp_path, "test")
        root = root.parent / "report"
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
