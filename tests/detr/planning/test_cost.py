"""The measured cost of training steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from base.parsing import write_yaml
from detr.config import TrainConfig
from detr.data.splits import read_splits
from detr.model.detr import DETR
from detr.planning.cost import StepCost, measure_steps
from detr.training.processes import Processes
from detr.training.stage_model import Stage
from detr.training.train import stages_of
from tests.conftest import Run
from tests.detr.drawn import draw_set
from tests.detr.training.runs import CONFIG, CPU, DATASET_YAML, FAST


def costs_of(panoptic: Path, config: TrainConfig, *stages: Stage) -> tuple[StepCost, ...]:
    processes = Processes(0, 1, CPU)
    return measure_steps(read_splits(panoptic), config, stages, processes, count_flops=True)


def test_costs_match_the_model_and_grow_with_the_size_of_photos(tmp_path: Path) -> None:
    panoptic = draw_set(tmp_path / "panoptic")
    boxes, masks = costs_of(panoptic, CONFIG, "boxes", "masks")
    weights = sum(p.numel() for p in DETR(CONFIG, 4, pretrained=False).parameters())
    assert boxes.parameters == weights > boxes.trained_parameters
    assert masks.parameters == weights + masks.trained_parameters
    assert boxes.seconds > 0 and boxes.reading_seconds > 0
    assert boxes.photos == masks.photos == CONFIG.batch_size
    large = TrainConfig(**{**vars(CONFIG), "train_sizes": (256,), "max_size": 400})
    (cost,) = costs_of(panoptic, large, "boxes")
    assert (cost.flops or 0) > 4 * (boxes.flops or 0) > 0


def test_the_fast_variant_has_one_stage(tmp_path: Path) -> None:
    panoptic = draw_set(tmp_path / "panoptic")
    (cost,) = costs_of(panoptic, FAST, *stages_of("both", FAST))
    assert cost.stage == "joint"
    assert 0 < cost.trained_parameters < cost.parameters
    assert (cost.flops or 0) > 1e9


def test_fused_operations_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen backbone has the same FLOPs with and without oneDNN's fused operations."""
    panoptic = draw_set(tmp_path / "panoptic")
    counts = []
    for fuses in (True, False):
        monkeypatch.setattr(
            "detr.kernels.torch_private.can_fuse_convolutions", lambda dtype, fuses=fuses: fuses
        )
        config = replace(CONFIG, backbone="resnet18")
        counts += [cost.flops for cost in costs_of(panoptic, config, "boxes", "masks")]
    assert counts[:2] == counts[2:]


def test_a_dry_run_writes_nothing(tmp_path: Path, run: Run) -> None:
    draw_set(tmp_path / "set" / "panoptic")
    (tmp_path / "set" / "dataset.yaml").write_text(DATASET_YAML)
    before = sorted(tmp_path.rglob("*"))
    small = ("--set", "min_size=96", "max_size=128")
    words = ("train", tmp_path / "set", "--dry-run", "--run", tmp_path / "run", *small)
    printed = run(*words, status=0)
    for row in ("parameters", "FLOPs per step", "peak memory", "time per epoch"):
        assert row in printed
    assert "num_queries 40: up to " in printed  # with the reason
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_continues_from_another_working_directory(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw_set(tmp_path / "set" / "panoptic", train=2, test=1)
    (tmp_path / "set" / "dataset.yaml").write_text(DATASET_YAML)
    write_yaml(tmp_path / "set" / "train.yaml", CONFIG)
    printed = []
    for cwd, dataset, folder in ((tmp_path, "set", "run"), (tmp_path / "set", ".", "../run")):
        monkeypatch.chdir(cwd)
        printed.append(run("train", dataset, "--run", folder, "--stage", "boxes", status=0))
    assert "already trained" in printed[1]
