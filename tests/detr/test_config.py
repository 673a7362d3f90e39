"""The configuration of a run, and which of its settings may change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from base.errors import InputError
from base.parsing import write_yaml
from detr.config import (
    RunConfig,
    TrainConfig,
    check_same_run,
    read_run,
    write_run,
)


def test_a_started_run_can_only_be_extended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def five(**changed: Any) -> TrainConfig:
        return TrainConfig(**{"epochs": 5, "precision": "bfloat16", **changed})

    started = RunConfig("yard", five())
    run = tmp_path / "run"
    for name in ("yard", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    write_run(run, started)
    assert read_run(run) == replace(started, dataset=str(tmp_path / "yard"))
    done = {"epochs": 3, "mask_epochs": 0}
    for epochs in (3, 4, 9):  # not fewer than are done
        check_same_run(run, RunConfig("yard", five(epochs=epochs, num_workers=0)), done)
    there = str(Path("yard").resolve())  # as another working directory would name it
    check_same_run(run, RunConfig(there, five()), done)
    for changed, said in [
        (replace(started, dataset="other"), f"dataset: {there} -> other"),
        (replace(started, train=five(epochs=2)), "epochs: 3 finished -> 2"),
        (replace(started, train=five(lr=0.5)), "lr: 0.0001 -> 0.5"),
    ]:
        with pytest.raises(InputError, match=f"{said}.*another --run"):
            check_same_run(run, changed, done)
    (tmp_path / "yard").rename(tmp_path / "moved")
    check_same_run(run, RunConfig("moved", five()), done)
    write_yaml(run / "config.yaml", RunConfig("yard", five(precision="auto")))
    assert read_run(run).train.precision == "float32"  # of earlier versions


def test_a_run_finds_its_data_set_if_both_are_moved(tmp_path: Path) -> None:
    (tmp_path / "a/datasets/yard").mkdir(parents=True)
    config = RunConfig(str(tmp_path / "a/datasets/yard"), TrainConfig(precision="float32"))
    write_run(tmp_path / "a/runs/yard", config)
    assert "dataset: ../../datasets/yard" in (tmp_path / "a/runs/yard/config.yaml").read_text()
    (tmp_path / "a").rename(tmp_path / "b")
    assert read_run(tmp_path / "b/runs/yard").dataset == str(tmp_path / "b/datasets/yard")


def test_a_data_set_elsewhere_has_an_absolute_path(tmp_path: Path) -> None:
    write_run(tmp_path, RunConfig("/elsewhere/yard", TrainConfig(precision="float32")))
    assert read_run(tmp_path).dataset == "/elsewhere/yard"
    assert "dataset: /elsewhere/yard" in (tmp_path / "config.yaml").read_text()
