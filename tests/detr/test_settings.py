"""Reading `train.yaml` and `--set`, with errors that name the setting."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from base.errors import InputError
from detr.config import TrainConfig
from detr.settings import read_settings
from tests.detr.configs import fast_config


def load_config(path: Path | None, overrides: list[str]) -> TrainConfig:
    return read_settings(path, overrides).config()


def test_the_defaults_of_variant_detr_are_published_values() -> None:
    config = load_config(None, ["variant=detr"])
    assert config == TrainConfig()
    assert (config.lr, config.lr_backbone, config.batch_size) == (1e-4, 1e-5, 2)
    assert (config.epochs, config.lr_drop, config.clip_max_norm) == (300, 200, 0.1)
    assert (config.num_queries, config.hidden_dim, config.eos_coef) == (100, 256, 0.1)


def test_overrides_take_precedence_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("variant: detr\nepochs: 12\nbackbone: resnet18\ntrain_sizes: [64, 96]\n")
    config = load_config(path, ["epochs=3", "lr=5e-4", "pre_norm=true", "train_sizes=[32]"])
    assert (config.epochs, config.lr, config.pre_norm) == (3, 5e-4, True)
    assert (config.backbone, config.train_sizes) == ("resnet18", (32,))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("num_querys=5", "did you mean 'num_queries'"),
        ("epochs=many", "epochs"),
        ("epochs=0", "epochs: expected more than 0, found 0"),
        ("lr=.nan", "lr: expected more than 0"),
        ("dropout=1.5", "dropout: expected 0 to 1, found 1.5"),
        ("backbone=resnet5", "did you mean 'resnet50'"),
        ("hidden_dim=100", "multiples of 128 and 8"),
        (
            "position_embedding=cosine",
            "unknown value 'cosine'; did you mean 'sine'",
        ),
        ("schedule=steps", "schedule: unknown value 'steps'; did you mean 'step'"),
        ("ema_decay=1", "expected less than 1"),
        ("tune=0.6", "tune: expected 0 to 0.5, found 0.6"),
        ("schedule=plateau", "patience: expected more than 0 with `schedule: plateau`, found 0"),
        ("train_sizes=[]", "train_sizes: expected sizes from 1 to 8192"),
        ("accumulate=0", "accumulate: expected more than 0, found 0"),
        ("epochs", "expected key=value"),
        ('backbone="resnet50', "--set backbone: is not valid YAML: line 1, column 10: expected a"),
        ("seed=2024-99-99", "--set seed: is not valid YAML: line 1, column 1: .*month must be"),
        (f"epochs={'9' * 5000}", "--set epochs: .*a number of at most 1000 characters"),
        ("pre_norm=!!bool x", "--set pre_norm: .*not a valid value of the type bool"),
    ],
)
def test_errors_name_the_setting_and_the_value(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_config(None, [override])


def test_errors_in_overrides_do_not_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("batch_size: 4\n")
    with pytest.raises(InputError, match=r"^--set: .*'epoch'.*'epochs'"):
        load_config(path, ["epoch=3"])


def test_unknown_key_in_the_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("batchsize: 4\n")
    with pytest.raises(InputError, match=r"train\.yaml.*'batchsize'.*'batch_size'"):
        load_config(path, [])


def test_the_fast_variant_has_defaults_of_its_own(tmp_path: Path) -> None:
    assert load_config(None, []) == load_config(None, ["variant=fast"]) == fast_config()
    path = tmp_path / "train.yaml"
    path.write_text("variant: fast\nepochs: 3\nlr: 1e-4\n")
    assert load_config(path, []) == fast_config(epochs=3, lr=1e-4)
    assert load_config(path, ["lr=2e-4"]) == fast_config(epochs=3, lr=2e-4)
    assert load_config(path, ["variant=detr"]) == TrainConfig(epochs=3, lr=1e-4)
    path.write_text("epochs: 3\n")
    assert load_config(path, []) == fast_config(epochs=3)
    path.write_text("cached_views: 3\n")
    with pytest.raises(InputError, match=r"train\.yaml with --set: cached_views: expected the"):
        load_config(path, ["variant=fast"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["variant=fast", "cached_views=6"], "cached_views: .*`variant: fast` does not read"),
        (["variant=fast", "pre_norm=true", "crop=0"], "pre_norm, crop: .*`variant: fast` does"),
        (["variant=detr", "deformable=false"], "deformable: .*`variant: detr` does not read"),
        (["cached_views=6"], "cached_views: .*; remove it, or set `variant: detr`"),
        (["variant=fast", "zoom=[2,1]"], "zoom: expected two rising numbers"),
        (["variant=quick"], "unknown value 'quick'; known: detr, fast"),
    ],
)
def test_settings_of_the_other_variant_are_named(overrides: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_config(None, overrides)


def test_importing_the_settings_does_not_import_torch() -> None:
    code = "import sys, detr.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
