"""Two processes started by torchrun have the same losses as one with batches twice as large."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from base.parsing import write_yaml
from detr.config import TrainConfig
from tests.detr.drawn import draw_set
from tests.detr.training.runs import CONFIG, DATASET_YAML, FAST, ROOT, read_log

PIPELINE = [str(ROOT / "pipeline.py"), "train"]
TORCHRUN = [
    *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    "--",  # otherwise, torchrun would take --run as one of its own options
]
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


SIMPLE_FAST = replace(FAST, batch_size=4, precision="float32")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    draw_set(folder / "panoptic", train=5, test=3)
    (folder / "dataset.yaml").write_text(DATASET_YAML)
    return folder


def call(command: list[str], dataset: Path, run: Path, stage: str, config: TrainConfig) -> str:
    path = run.with_suffix(".yaml")
    write_yaml(path, config)
    words = [*command, *PIPELINE, str(dataset), "--run", str(run), "--stage", stage]
    done = subprocess.run(
        [*words, "--config", str(path)], capture_output=True, text=True, timeout=300, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("stage", "config"),
    [
        ("both", replace(SIMPLE, score_every=2)),
        ("joint", SIMPLE),
        ("both", replace(SIMPLE, lr_backbone=0, cached_views=2)),
        ("both", replace(SIMPLE_FAST, score_every=2)),
    ],
    ids=["both", "joint", "cached", "fast"],
)
def test_two_processes_have_the_same_losses_as_one(
    dataset: Path, tmp_path: Path, stage: str, config: TrainConfig
) -> None:
    call([sys.executable], dataset, tmp_path / "one", stage, config)
    printed = call(TORCHRUN, dataset, tmp_path / "two", stage, replace(config, batch_size=2))
    one, two = read_log(tmp_path / "one"), read_log(tmp_path / "two")
    assert [line["epoch"] for line in two] == [line["epoch"] for line in one]
    assert printed.count("1/2 ") == len(one) // 2  # only the first process prints
    for alone, shared in zip(one, two, strict=True):
        assert shared["grad_norm"] == pytest.approx(alone["grad_norm"], rel=2e-3)
        for split in ("train", "test"):
            assert shared[split].keys() == alone[split].keys()
            for name, value in alone[split].items():
                assert shared[split][name] == pytest.approx(value, rel=2e-3, abs=1e-4), name
    assert not (tmp_path / "two" / "cache").exists()
