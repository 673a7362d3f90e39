"""What the command line says about mistakes, and how it reads options."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pipeline
from base.errors import InputError
from detr.planning.plan import Plan, Request
from detr.training.processes import Processes
from tests.detr.configs import fast_config
from tests.drawn import YAML

ROOT = Path(__file__).parents[1]
PIPELINE = (sys.executable, str(ROOT / "pipeline.py"))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["validate", "nowhere"], "nowhere: expected the folder of a data set, found nothing"),
        (["convert", "."], "dataset.yaml: missing"),
        (["report", "nowhere"], "nowhere/config.yaml: missing"),
        (["review", "nowhere"], "nowhere/config.yaml: missing"),
        (["evaluate", "a.json", "b.json"], "a.json: cannot be read"),
        (
            ["predict", "nowhere", ".", "--out", "out"],
            "neither a file nor the name of published weights",
        ),
        (["sample", "/dev/null/out"], "/dev/null/out"),
        (["predikt", "run"], "'predikt' is not a subcommand; did you mean 'predict'?"),
        (["train", "set", "--run", "/dev/null"], "--run: expected a folder, found the file"),
        (["help"], "'help' is not a subcommand; expected one of sample, collect, import, "),
        (
            ["validate", "--josn", "x", "set"],
            "--josn: validate has no such option; did you mean '--json'?",
        ),
        (["predict", "run", "a", "--ouut=o"], "no such option; did you mean '--out'?"),
        (["review", "run", "--port", "99999999"], "--port: expected 1 to 65535, found 99999999"),
        (["evaluate", "run", "--json", "."], "--json: expected a file to write, found the folder"),
        (["onnx", "run", "--out", "."], "--out: expected a file to write, found the folder ."),
        (["predict", ".", ".", "--out", "out"], "expected a training run, found a folder"),
        (["predict", "run", "--out", "out"], "IMAGES: expected one or more photos or folders"),
        (["predict", "run", "a", "--out", "o", "--threshold", "2"], "--threshold: expected 0 to 1"),
        (["sample", "out", "--images", "0"], "--images: expected 1 or more, found 0"),
        (["train", "nowhere", "--run", "run", "--time", "10"], "--time: expected a time such as"),
    ],
)
def test_users_mistakes_are_reported_in_one_line(
    command: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pipeline.py", *command])
    with pytest.raises(SystemExit) as stopped:
        pipeline.main()
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and message in printed
    assert printed.count("\n") == 1


MISTAKES = """
predict nowhere . --out out
predict file none.jpg --out out
onnx nowhere --out model.onnx
train nowhere --run run
report nowhere
evaluate nowhere
"""
RUN_ALL = """
import sys
import pipeline
for line in sys.stdin:
    sys.argv[1:] = line.split()
    try:
        pipeline.main()
    except SystemExit as end:
        print(end.code, "torch" in sys.modules)
"""


def test_mistakes_are_found_before_torch_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=MISTAKES.lstrip(),
        capture_output=True,
        text=True,
    )
    assert done.stdout == "2 False\n" * 6, done.stderr
    assert done.stderr.count("\n") == done.stderr.count("error: ") == 6


def test_the_version_is_that_of_the_project(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pipeline.py", "--version"])
    pipeline.main()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert capsys.readouterr().out == f"{project['version']}\n"


def test_a_users_mistake_ends_the_program_with_status_2(tmp_path: Path) -> None:
    words = [*PIPELINE, "validate", str(tmp_path / "nowhere")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path}/nowhere: expected the folder of a data set")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["--set", "epochs=3", "lr=0.5", "seed=2"],
        ["--set", "epochs=3", "--set", "lr=0.5", "--set", "seed=2"],
        ["--set", "epochs=9", "lr=0.5", "--init", "detr-r50", "--set", "seed=2", "epochs=3"],
    ],
)
def test_all_set_options_apply_and_the_last_value_of_a_key_wins(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def record(_panoptic: Path, _run: Path, request: Request, _processes: Processes) -> Plan:
        asked.append(request)
        raise InputError("recorded")

    monkeypatch.setattr("detr.planning.plan.plan_run", record)
    monkeypatch.setattr("detr.training.local_processes.count_cores", lambda: 1)
    (tmp_path / "dataset.yaml").write_text(YAML)
    (tmp_path / "panoptic").mkdir()
    (tmp_path / "panoptic/manifest.json").touch()
    with pytest.raises(InputError, match="recorded"):
        pipeline.app.cli(args=["train", str(tmp_path), "--run", "run", *words])
    assert asked[0].settings.config() == fast_config(epochs=3, lr=0.5, seed=2)
