"""Commands that write to one set or to one run wait for each other."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from annotation.dataset import open_dataset
from annotation.intake.collect import collect
from annotation.labeling.items import FOLDER
from annotation.labeling.session import LOCK
from base.locks import working_on
from commands.annotation import validate
from commands.conversion import export
from commands.curation import decide, review
from commands.evaluation import report
from commands.label_errors import label_errors
from commands.prelabel import prelabel
from commands.training import weights
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
SECONDS = 300  # until a command waits, and until it ends; a busy machine loads torch for a minute


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


def _undo(root: Path) -> None:
    with suppress(SystemExit):
        validate(root, undo=True)


def _load(root: Path) -> None:
    from curation.loading.load import load_dataset  # FiftyOne takes seconds

    dataset = open_dataset(root)
    load_dataset(dataset, check(dataset))


def _forget(root: Path) -> None:
    import fiftyone as fo

    from curation.loading.load import fiftyone_name

    fo.delete_dataset(fiftyone_name(open_dataset(root)))


def _curate(root: Path) -> None:
    _load(root)
    _forget(root)


def _review(root: Path) -> None:
    review(root.parent / "run", app=False)
    _forget(root)


def _tagged(root: Path) -> None:
    """Build and load a set, and exclude one of its photos in FiftyOne."""
    import fiftyone as fo

    from curation.loading.load import fiftyone_name

    _build(root)
    _load(root)
    fo.load_dataset(fiftyone_name(open_dataset(root))).limit(1).tag_samples("exclude")


def _decide(root: Path) -> None:
    decide(root)
    _forget(root)


def _prelabel(root: Path) -> None:
    _use_one_thread()
    prelabel(root.parent / "run", root)


def _report(root: Path) -> None:
    report(root.parent)


def _draw(root: Path) -> None:
    draw(root, 2)


def _build(root: Path) -> None:
    draw(root, 2)
    convert(open_dataset(root))


def _draw_fixed(root: Path) -> None:
    """Write a set with a label to fix, and the original of a fix."""
    draw(root, 2)
    draw_photo(root, "p000", [square("bxo", 2, 2, 5), square("box", 12, 12, 8)])
    fixed = root / "labelme/p001.json"
    original = fixed.with_name("p001.json.orig")
    original.write_bytes(b"{}")
    os.utime(original, ns=(fixed.stat().st_mtime_ns,) * 2)  # nobody has edited the fixed file


def _predict(root: Path) -> None:
    _build(root)
    run_that_predicts(open_dataset(root), root.parent / "run", "test")


def _draw_new(root: Path) -> None:
    """Write a set with a photo that has no annotation, and a model."""
    draw(root, 2)
    (root / "labelme/p001.json").unlink()
    _save_model(root.parent)


def _draw_report(root: Path) -> None:
    _build(root.parent / "drawn")
    run_that_predicts(open_dataset(root.parent / "drawn"), root.parent, "test")


def _run(command: Callable[[Path], object], root: Path, output: Path) -> None:
    with output.open("w") as file:
        sys.stdout = file
        os.dup2(file.fileno(), 1)
        command(root)


def _use_one_thread() -> None:
    """Use no threads of torch, which a forked process does not have."""
    import torch

    torch.set_num_threads(1)


def _save_model(folder: Path) -> None:
    _use_one_thread()
    from tests.detr.model.fast.models import fast_model, save_run

    save_run(folder / "run", fast_model())


def _weights(folder: Path) -> None:
    _use_one_thread()
    weights(folder / "run", folder / "small.pt")


def _read_weights(folder: Path) -> None:
    from detr.weights.checkpoint import load_checkpoint

    assert load_checkpoint(folder / "small.pt").epoch == 1


def _label_errors(root: Path) -> None:
    label_errors(root, root.parent / "out")


def _export(root: Path) -> None:
    export(root, format="semantic", out=root.parent / "out")


def _files(root: Path) -> dict[str, bytes]:
    """Return the files of a folder, without the lock that keeps Labelme from opening it."""
    found = contents(root)
    return {name: found[name] for name in found if name != f"{FOLDER}/{LOCK}"}


def _wait_for(line: str, output: Path, program: BaseProcess) -> None:
    """Wait until a program has printed a line."""
    deadline = time.monotonic() + SECONDS
    while not (output.exists() and line in output.read_text()):
        assert program.is_alive(), output.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _in_process(function: Callable[..., object], *arguments: object) -> BaseProcess:
    program = FORK.Process(target=function, args=arguments)
    program.start()
    return program


@pytest.mark.parametrize(
    ("command", "prepare"),
    [
        (_sample, None),
        (_collect, None),
        (_import, None),
        (_convert, _draw),
        (_fix, _draw_fixed),
        (_confirm, _draw_fixed),
        (_undo, _draw_fixed),
        (_curate, _build),
        (_review, _predict),
        (_decide, _tagged),
        (_prelabel, _draw_new),
        (_report, _draw_report),
    ],
)
def test_a_command_waits_until_another_one_ends(
    tmp_path: Path,
    command: Callable[[Path], object],
    prepare: Callable[[Path], object] | None,
    request: pytest.FixtureRequest,
) -> None:
    root, output = tmp_path / "set", tmp_path / "output"
    if command in (_curate, _review, _decide):
        request.getfixturevalue("mongo")
    if command is _report:
        root = tmp_path / "report"
    if prepare is not None:
        preparing = _in_process(prepare, root)  # FiftyOne and torch do not work after a fork
        preparing.join()
        assert preparing.exitcode == 0
    with working_on(root, "annotate"):
        before = _files(root)
        program = _in_process(_run, command, root, output)
        waiting = f"{root}: waiting for `annotate` (process {os.getpid()} on "
        _wait_for(waiting, output, program)
        assert _files(root) == before
    program.join(SECONDS)
    assert program.exitcode == 0
    assert _files(root) != before
    assert not (root / ".lock").exists()


@pytest.mark.parametrize(("command", "lock"), [(_label_errors, "out"), (_export, ".out.export")])
def test_two_commands_with_one_output_folder_take_turns(
    tmp_path: Path, command: Callable[[Path], object], lock: str
) -> None:
    root, output = tmp_path / "set", tmp_path / "output"
    convert(draw(root, 2))
    with working_on(tmp_path / lock, "the first"):
        program = _in_process(_run, command, root, output)
        _wait_for(f"{tmp_path / lock}: waiting for `the first`", output, program)
        program.terminate()
        program.join()
        assert [path.name for path in (tmp_path / lock).iterdir()] == [".lock"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["output", "set"]


def test_two_commands_that_write_one_file_both_write_it_completely(tmp_path: Path) -> None:
    """`weights`, and `onnx` likewise, rename a file into place; they need no lock."""
    _in_process(_save_model, tmp_path).join()
    programs = [_in_process(_weights, tmp_path) for _ in range(2)]
    for program in programs:
        program.join(SECONDS)
        assert program.exitcode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"run", "small.pt"}
    reading = _in_process(_read_weights, tmp_path)
    reading.join()
    assert reading.exitcode == 0
