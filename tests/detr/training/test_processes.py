"""Two processes started by torchrun have the same losses as one with batches twice as large.

One of the runs is started by the command line. The others share two processes, because starting
them takes longer than training.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest

from base.parsing import write_yaml
from detr.config import TrainConfig
from detr.training.train import train
from tests.detr.drawn import draw_set
from tests.detr.training.runs import CONFIG, DATASET_YAML, FAST, ROOT, read_log, run_config

TORCHRUN = [
    *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    "--",  # otherwise, torchrun would take --run as one of its own options
]
TRAIN_ALL = """
import sys
from pathlib import Path
from detr.training.processes import join_processes
from detr.training.train import train
from tests.detr.training.runs import run_config
from tests.detr.training.test_processes import CASES, in_two
folder = Path(sys.argv[1])
with join_processes() as processes:
    for name, case in CASES.items():
        config = run_config(in_two(case.config))
        train(folder / "panoptic", folder / name, config, case.stage, processes)
"""
# the second step has only one of the 5 photos, so one of the two processes has none
SIMPLE = replace(
    CONFIG,
    dropout=0,
    crop=0,
    flip=False,
    train_sizes=(64,),
    batch_size=4,
    epochs=2,
    ema_decay=0.9,
    precision="float32",
)


@dataclass(frozen=True)
class Case:
    """A stage, and its configuration for one process."""

    stage: Literal["both", "joint"]
    config: TrainConfig


CASES = {
    "both": Case("both", replace(SIMPLE, score_every=2)),
    "joint": Case("joint", SIMPLE),
    "cached": Case("both", replace(SIMPLE, lr_backbone=0, cached_views=2)),
}
SIMPLE_FAST = replace(FAST, batch_size=4, precision="float32", score_every=2)


def in_two(config: TrainConfig) -> TrainConfig:
    """Return the configuration with which two processes do the same."""
    return replace(config, batch_size=config.batch_size // 2)


def torchrun(*words: object) -> str:
    done = subprocess.run(
        [*TORCHRUN, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_dataset(folder: Path) -> Path:
    draw_set(folder / "panoptic", train=5, test=3)
    (folder / "dataset.yaml").write_text(DATASET_YAML)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn set; the folders named as the cases hold the runs of two processes."""
    folder = make_dataset(tmp_path_factory.mktemp("drawn"))
    program = folder / "train_all.py"
    program.write_text(TRAIN_ALL)
    torchrun(program, folder)
    return folder


def check_same(one: Path, two: Path) -> None:
    """Check that the logs of two runs are equal, except for rounding."""
    logs = read_log(one), read_log(two)
    assert [line["epoch"] for line in logs[1]] == [line["epoch"] for line in logs[0]]
    for alone, shared in zip(*logs, strict=True):
        assert shared["grad_norm"] == pytest.approx(alone["grad_norm"], rel=2e-3)
        for split in ("train", "test"):
            assert shared[split].keys() == alone[split].keys()
            for name, value in alone[split].items():
                assert shared[split][name] == pytest.approx(value, rel=2e-3, abs=1e-4), name
    assert not (two / "cache").exists()


@pytest.mark.parametrize("name", CASES)
def test_two_processes_have_the_same_losses_as_one(
    dataset: Path, tmp_path: Path, name: str
) -> None:
    train(dataset / "panoptic", tmp_path / "one", run_config(CASES[name].config), CASES[name].stage)
    check_same(tmp_path / "one", dataset / name)


def test_the_command_line_trains_in_two_processes(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "drawn")
    train(folder / "panoptic", tmp_path / "one", run_config(SIMPLE_FAST), "both")
    write_yaml(tmp_path / "two.yaml", in_two(SIMPLE_FAST))
    words = ["train", folder, "--run", tmp_path / "two", "--config", tmp_path / "two.yaml"]
    printed = torchrun(ROOT / "pipeline.py", *words)
    check_same(tmp_path / "one", tmp_path / "two")
    lines = [line for line in printed.splitlines() if line.startswith("joint ")]
    assert len(lines) == len(read_log(tmp_path / "one"))  # only the first process prints
