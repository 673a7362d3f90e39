"""Costs before anything is spent."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from base.parsing import write_yaml
from detr.config import TrainConfig
from detr.model.detr import DETR
from detr.training.dry_run import measure_costs
from tests.detr.drawn import draw_set
from tests.detr.training.test_processes import ROOT, YAML
from tests.detr.training.test_train import CONFIG


def test_costs_are_those_of_the_model_and_grow_with_the_photos(tmp_path: Path) -> None:
    panoptic = draw_set(tmp_path / "panoptic")
    boxes, masks = measure_costs(panoptic, CONFIG, ("boxes", "masks"))
    weights = sum(p.numel() for p in DETR(CONFIG, 4, pretrained=False).parameters())
    assert boxes.parameters == weights > boxes.trained
    assert masks.parameters == weights + masks.trained
    assert (boxes.epochs, masks.epochs) == (CONFIG.epochs, CONFIG.mask_epochs)
    assert boxes.step > 0 and boxes.epoch > 2 * boxes.step  # 4 photos, 2 a step
    large = TrainConfig(**{**vars(CONFIG), "train_sizes": (256,), "max_size": 400})
    (cost,) = measure_costs(panoptic, large, ("boxes",))
    assert cost.flops > 4 * boxes.flops


def test_no_operation_goes_uncounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a frozen backbone does in oneDNN's fused operations is counted as outside of them."""
    panoptic = draw_set(tmp_path / "panoptic")
    counts = []
    for fuses in (True, False):
        monkeypatch.setattr(
            "detr.kernels.torch_private.can_fuse_convolutions", lambda dtype, fuses=fuses: fuses
        )
        config = replace(CONFIG, backbone="resnet18")
        counts += [cost.flops for cost in measure_costs(panoptic, config, ("boxes", "masks"))]
    assert counts[:2] == counts[2:]


def test_a_dry_run_leaves_nothing(tmp_path: Path) -> None:
    draw_set(tmp_path / "set" / "panoptic")
    (tmp_path / "set" / "dataset.yaml").write_text(YAML)
    write_yaml(tmp_path / "set" / "train.yaml", CONFIG)
    command = [sys.executable, "pipeline.py", "train", str(tmp_path / "set"), "--dry-run"]
    done = subprocess.run(
        [*command, "--run", str(tmp_path / "run")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for row in ("parameters", "FLOPs a step", "peak memory", "time an epoch"):
        assert row in done.stdout
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_from_another_working_directory(tmp_path: Path) -> None:
    draw_set(tmp_path / "set" / "panoptic", train=2, test=1)
    (tmp_path / "set" / "dataset.yaml").write_text(YAML)
    write_yaml(tmp_path / "set" / "train.yaml", CONFIG)
    pipeline, said = str(ROOT / "pipeline.py"), []
    for cwd, dataset, run in ((tmp_path, "set", "run"), (tmp_path / "set", ".", "../run")):
        words = [pipeline, "train", dataset, "--run", run, "--stage", "boxes"]
        done = subprocess.run([sys.executable, *words], cwd=cwd, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert "already trained" in said[1]
