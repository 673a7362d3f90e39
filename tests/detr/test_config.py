"""Reading `train.yaml`: what is wrong is named."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from base.errors import InputError
from base.parsing import write_yaml
from detr.config import RunConfig, TrainConfig, check_same_run, load_config, read_run


def test_defaults_are_published_values() -> None:
    config = load_config(None, [])
    assert (config.lr, config.lr_backbone, config.batch_size) == (1e-4, 1e-5, 2)
    assert (config.epochs, config.lr_drop, config.clip_max_norm) == (300, 200, 0.1)
    assert (config.num_queries, config.hidden_dim, config.eos_coef) == (100, 256, 0.1)


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("epochs: 12\nbackbone: resnet18\ntrain_sizes: [64, 96]\n")
    config = load_config(path, ["epochs=3", "lr=5e-4", "pre_norm=true", "train_sizes=[32]"])
    assert (config.epochs, config.lr, config.pre_norm) == (3, 5e-4, True)
    assert (config.backbone, config.train_sizes) == ("resnet18", (32,))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("num_querys=5", "did you mean 'num_queries'"),
        ("epochs=many", "epochs"),
        ("epochs=0", "epochs: expected more than 0, got 0"),
        ("lr=.nan", "lr: expected more than 0"),
        ("dropout=1.5", "dropout: expected 0 to 1, got 1.5"),
        ("backbone=resnet5", "did you mean 'resnet50'"),
        ("hidden_dim=100", "multiples of 128 and 8"),
        (
            "position_embedding=cosine",
            "'cosine' is unknown; did you mean 'sine'",
        ),
        ("schedule=steps", "schedule: 'steps' is unknown; did you mean 'step'"),
        ("ema_decay=1", "expected less than 1"),
        ("train_sizes=[]", "train_sizes"),
        ("accumulate=0", "accumulate: expected more than 0, got 0"),
        ("epochs", "expected key=value"),
    ],
)
def test_wrong_values_are_named(override: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_config(None, [override])


def test_values_of_the_command_line_are_not_said_to_be_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("batch_size: 4\n")
    with pytest.raises(InputError, match=r"^--set: .*'epoch'.*'epochs'"):
        load_config(path, ["epoch=3"])


def test_unknown_key_in_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("batchsize: 4\n")
    with pytest.raises(InputError, match=r"train\.yaml.*'batchsize'.*'batch_size'"):
        load_config(path, [])


def test_a_begun_run_may_only_grow(tmp_path: Path) -> None:
    def five(**changed: Any) -> TrainConfig:
        return TrainConfig(**{"epochs": 5, "precision": "bfloat16", **changed})

    begun = RunConfig("yard", five())
    write_yaml(tmp_path / "config.yaml", begun)
    assert read_run(tmp_path) == begun
    done = {"epochs": 3, "mask_epochs": 0}
    for epochs in (3, 4, 9):  # all that is not less than what is done
        check_same_run(tmp_path, RunConfig("yard", five(epochs=epochs, num_workers=0)), done)
    there = str(Path("yard").resolve())  # as another working directory would name it
    check_same_run(tmp_path, RunConfig(there, five()), done)
    for changed, said in [
        (replace(begun, dataset="other"), "dataset: yard -> other"),
        (replace(begun, train=five(epochs=2)), "epochs: 3 are done -> 2"),
        (replace(begun, train=five(lr=0.5)), "lr: 0.0001 -> 0.5"),
    ]:
        with pytest.raises(InputError, match=f"{said}.*another --run"):
            check_same_run(tmp_path, changed, done)
    write_yaml(tmp_path / "config.yaml", RunConfig("yard", five(precision="auto")))
    assert read_run(tmp_path).train.precision == "float32"  # what it meant when it was written


def test_reading_a_configuration_loads_no_torch() -> None:
    code = "import sys, detr.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
