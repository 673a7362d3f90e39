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
)


def test_a_started_run_can_only_be_extended(tmp_path: Path) -> None:
    def five(**changed: Any) -> TrainConfig:
        return TrainConfig(**{"epochs": 5, "precision": "bfloat16", **changed})

    started = RunConfig("yard", five())
    write_yaml(tmp_path / "config.yaml", started)
    assert read_run(tmp_path) == started
    done = {"epochs": 3, "mask_epochs": 0}
    for epochs in (3, 4, 9):  # not fewer than are done
        check_same_run(tmp_path, RunConfig("yard", five(epochs=epochs, num_workers=0)), done)
    there = str(Path("yard").resolve())  # as another working directory would name it
    check_same_run(tmp_path, RunConfig(there, five()), done)
    for changed, said in [
        (replace(started, dataset="other"), "dataset: yard -> other"),
        (replace(started, train=five(epochs=2)), "epochs: 3 finished -> 2"),
        (replace(started, train=five(lr=0.5)), "lr: 0.0001 -> 0.5"),
    ]:
        with pytest.raises(InputError, match=f"{said}.*another --run"):
            check_same_run(tmp_path, changed, done)
    write_yaml(tmp_path / "config.yaml", RunConfig("yard", five(precision="auto")))
    assert read_run(tmp_path).train.precision == "float32"  # of earlier versions
