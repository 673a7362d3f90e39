"""Paths with spaces, quotes and # reach the commands unchanged."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run_make(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `make` with a program that prints its arguments."""
    program = tmp_path / "arguments"
    program.write_text('#!/bin/sh\nfor one in "$@"; do printf "<%s>" "$one"; done; echo\n')
    program.chmod(0o755)
    command = ["make", "--silent", f"PIPELINE={program}", *words]
    # `make test` passes its own variables on
    passed = {
        "DATASET",
        "RUN",
        "SPLIT",
        "TIME",
        "CONFIG",
        "LIST",
        "PYTHON",
        "MAKEFLAGS",
        "MAKEOVERRIDES",
        "MAKELEVEL",
        "MFLAGS",
    }
    env = {name: value for name, value in os.environ.items() if name not in passed}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def arguments(tmp_path: Path, target: str, *variables: str) -> list[str]:
    """Run a target without `setup`; return the arguments of each call."""
    done = run_make(tmp_path, "-o", "setup", "-o", ".venv/ready", target, *variables)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("<")]


def test_paths_are_quoted(tmp_path: Path) -> None:
    folder = f'{tmp_path}/my sets/it\'s "new" #1'
    annotations = Path(folder, "panoptic/annotations")
    annotations.mkdir(parents=True)
    for split in ("test", "val"):
        (annotations / f"panoptic_{split}.json").touch()
    lines = arguments(tmp_path, "train", f"DATASET={folder}/")
    run = 'runs/it\'s "new" #1'
    assert lines[0] == f"<convert><{folder}/>"
    assert lines[1] == f"<train><{folder}/><--run><{run}>"
    assert lines[2] == f"<predict><{run}><{folder}//panoptic/test><--out><{run}/predictions>"
    assert lines[4] == f"<report><{run}><--split><test>"
    lines = arguments(tmp_path, "train", f"DATASET={folder}", "SPLIT=val")
    assert lines[2] == f"<predict><{run}><{folder}/panoptic/val><--out><{run}/val/predictions>"
    assert lines[3].endswith(
        f"<{run}/val/predictions/panoptic.json><--json><{run}/val/scores.json>"
    )
    (line,) = arguments(tmp_path, "relabel", f"DATASET={folder}")
    assert line == f"<relabel><{folder}><{run}/redraw.json><--with-predictions>"
    (line,) = arguments(tmp_path, "relabel", f"DATASET={folder}", "LIST=a.json files/my list.txt")
    words = f"<{folder}><a.json files/my list.txt><--with-predictions><--run><{run}>"
    assert line == f"<relabel>{words}"


def test_the_results_of_the_demo_are_quoted(tmp_path: Path) -> None:
    run = 'it\'s "new" `x`'
    ready = ("-o", "setup", "-o", ".venv/ready", "MAKE=true")
    done = run_make(tmp_path, *ready, "demo", f"RUN={run}")
    assert done.returncode == 0, done.stderr
    assert f"== review {run}\n<review><{run}><--no-app>\n" in done.stdout
    assert f"  report        {run}/report/index.html\n" in done.stdout


def test_the_path_of_python_is_quoted(tmp_path: Path) -> None:
    python = tmp_path / 'my "old" python'
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    done = run_make(tmp_path, f"{tmp_path}/ready", f"VENV={tmp_path}", f"PYTHON={python}")
    assert f"error: Python: expected 3.11 or later, found {python}, which is older" in done.stdout


@pytest.mark.parametrize(("status", "continues"), [(0, True), (1, True), (2, False)])
def test_train_continues_after_findings_but_not_after_an_error(
    tmp_path: Path, status: int, continues: bool
) -> None:
    """After an error, the panoptic set is that of an earlier build."""
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "<$1>"; test $1 != convert || exit {status}\n')
    program.chmod(0o755)
    annotations = tmp_path / "set/panoptic/annotations"
    annotations.mkdir(parents=True)
    (annotations / "panoptic_test.json").touch()
    (tmp_path / "set/panoptic/manifest.json").touch()
    command = ["make", "-o", "setup", "-o", ".venv/ready", "--silent", "train"]
    done = subprocess.run(
        [*command, f"PIPELINE={program}", f"DATASET={tmp_path}/set", "SPLIT=test", "TIME="],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ("<train>" in done.stdout) == continues == (done.returncode == 0)
