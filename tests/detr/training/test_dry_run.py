"""The estimated cost of training."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from base.parsing import write_yaml
from detr.config import TrainConfig
from detr.model.detr import DETR
from detr.training.dry_run import estimate_costs
from detr.training.train import stages_of
from tests.detr.drawn import draw_set
from tests.detr.training.runs import CONFIG, DATASET_YAML, FAST, ROOT


def test_costs_match_the_model_and_grow_with_the_size_of_photos(tmp_path: Path) -> None:
    panoptic = draw_set(tmp_path / "panoptic")
    boxes, masks = estimate_costs(panoptic, CONFIG, ("boxes", "masks"))
    weights = sum(p.numel() for p in DETR(CONFIG, 4, pretrained=False).parameters())
    assert boxes.parameters == weights > boxes.trained_parameters
    assert masks.parameters == weights + masks.trained_parameters
    assert (boxes.epochs, masks.epochs) == (CONFIG.epochs, CONFIG.mask_epochs)
    assert boxes.step_seconds > 0
    assert boxes.epoch_seconds > 2 * boxes.step_seconds  # 4 photos, 2 per step
    large = TrainConfig(**{**vars(CONFIG), "train_sizes": (256,), "max_size": 400})
    (cost,) = estimate_costs(panoptic, large, ("boxes",))
    assert cost.step_flops > 4 * boxes.step_flops


def test_the_fast_variant_has_one_stage(tmp_path: Path) -> None:
    panoptic = draw_set(tmp_path / "panoptic")
    (cost,) = estimate_costs(panoptic, FAST, stages_of("both", FAST))
    assert cost.stage == "joint" and cost.epochs == FAST.epochs
    assert 0 < cost.trained_parameters < cost.parameters
    assert cost.step_flops > 1e9


def test_fused_operations_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen backbone has the same FLOPs with and without oneDNN's fused operations."""
    panoptic = draw_set(tmp_path / "panoptic")
    counts = []
    for fuses in (True, False):
        monkeypatch.setattr(
            "detr.kernels.torch_private.can_fuse_convolutions", lambda dtype, fuses=fuses: fuses
        )
        config = replace(CONFIG, backbone="resnet18")
        counts += [cost.step_flops for cost in estimate_costs(panoptic, config, ("boxes", "masks"))]
    assert counts[:2] == counts[2:]


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    draw_set(tmp_path / "set" / "panoptic")
    (tmp_path / "set" / "dataset.yaml").write_text(DATASET_YAML)
    write_yaml(tmp_path / "set" / "train.yaml", CONFIG)
    command = [sys.executable, "pipeline.py", "train", str(tmp_path / "set"), "--dry-run"]
    done = subprocess.run(
        [*command, "--run", str(tmp_path / "run")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for row in ("parameters", "FLOPs per step", "peak memory", "time per epoch"):
        assert row in done.stdout
    assert not (tmp_path / "run").exists()


def test_a_run_continues_from_another_working_directory(tmp_path: Path) -> None:
    draw_set(tmp_path / "set" / "panoptic", train=2, test=1)
    (tmp_path / "set" / "dataset.yaml").write_text(DATASET_YAML)
    write_yaml(tmp_path / "set" / "train.yaml", CONFIG)
    pipeline, printed = str(ROOT / "pipeline.py"), []
    for cwd, dataset, run in ((tmp_path, "set", "run"), (tmp_path / "set", ".", "../run")):
        words = [pipeline, "train", dataset, "--run", run, "--stage", "boxes"]
        done = subprocess.run([sys.executable, *words], cwd=cwd, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    assert "already trained" in printed[1]
