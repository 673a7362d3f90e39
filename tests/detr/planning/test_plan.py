"""The plan of a new run, measured on a drawn set, and of a run that is continued."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from base.errors import InputError
from base.parsing import write_yaml
from detr.config import RunConfig, TrainConfig, read_run
from detr.planning.continued import continue_run
from detr.planning.opening import opening_lines
from detr.planning.plan import Plan, Request, plan_run
from detr.settings import Settings
from detr.training.processes import Processes
from detr.training.train import StageOption, train
from detr.weights.checkpoint import (
    checkpoint_path,
    load_checkpoint,
    masks_path,
    save_checkpoint,
)
from tests.detr.drawn import draw_set
from tests.detr.training.runs import CONFIG, CPU, FAST, read_log

ALONE = Processes(0, 1, CPU)
CHOSEN = dict.fromkeys(("num_queries", "schedule", "train_time", "epochs"), "for a test") | {
    "num_workers": "for another"
}


@pytest.fixture(scope="module")
def panoptic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_set(tmp_path_factory.mktemp("planned") / "panoptic", train=24)


def plan(panoptic: Path, run: Path, *, seconds: float | None = None, **given: Any) -> Plan:
    return plan_run(panoptic, run, Request("drawn", Settings(given), seconds=seconds), ALONE)


def test_a_run_configures_itself_and_says_why(panoptic: Path, tmp_path: Path) -> None:
    planned = plan(panoptic, tmp_path / "run", seconds=90)
    train, chosen = planned.config.train, planned.config.chosen
    assert train.variant == "fast" and planned.config.time == 90
    assert {"min_size", "max_size", "num_queries", "batch_size", "epochs"} <= chosen.keys()
    assert {"warmup_steps", "score_every", "num_workers"} <= chosen.keys()
    assert planned.seconds is not None and planned.seconds <= 90
    lines = opening_lines(planned, tmp_path / "run", ("joint",))
    for key, reason in chosen.items():
        assert any(f"{key} " in line and reason in line for line in lines), key
    for start in ("device: CPU", "photos: 22 to train on, 2", "model: ", "time: ", "weights: "):
        assert any(line.startswith(start) for line in lines), start
    assert not (tmp_path / "run").exists()


def test_settings_given_by_hand_are_not_chosen(panoptic: Path, tmp_path: Path) -> None:
    given = {"num_queries": 7, "min_size": 64, "epochs": 3, "lr_backbone": 1e-6}
    planned = plan(panoptic, tmp_path / "run", **given)
    train = planned.config.train
    assert {key: getattr(train, key) for key in given} == given
    assert planned.config.chosen.keys().isdisjoint(given)
    assert train.max_size == 96  # in the proportions of the photos
    assert train.schedule == "flat_cosine"


def test_the_published_variant_does_not_configure_itself(panoptic: Path, tmp_path: Path) -> None:
    values = {name: getattr(CONFIG, name) for name in vars(CONFIG)}
    planned = plan(panoptic, tmp_path / "run", **values)
    assert planned.config == RunConfig("drawn", CONFIG)
    assert planned.choices == () and len(planned.times) == 2  # boxes and masks


def test_a_time_that_has_passed_while_planning_leaves_one_epoch(
    panoptic: Path, tmp_path: Path
) -> None:
    assert plan(panoptic, tmp_path / "run", seconds=0.001).config.train.epochs == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"variant": "detr"}, "--time: `variant: detr` does not configure itself"),
        ({"epochs": 3}, "--time: expected no `epochs`"),
        ({"schedule": "step"}, "--time: expected no `schedule`"),
    ],
)
def test_settings_that_contradict_the_time_are_errors(
    given: dict[str, Any], message: str, panoptic: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        plan(panoptic, tmp_path / "run", seconds=60, **given)


@pytest.fixture(scope="module")
def started(panoptic: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a time and with choices that a new measurement would not make."""
    run = tmp_path_factory.mktemp("started") / "run"
    timed: dict[str, Any] = {"schedule": "timed", "train_time": 0.1, "epochs": 2}
    config = replace(FAST, num_queries=33, num_workers=0, **timed)
    train(panoptic, run, RunConfig("drawn", config, None, 600, CHOSEN), "both")
    return run


def given_settings(config: TrainConfig) -> dict[str, Any]:
    return {name: value for name, value in vars(config).items() if name not in CHOSEN}


def test_a_continued_run_keeps_its_choices(panoptic: Path, started: Path) -> None:
    planned = plan(panoptic, started, seconds=600, **given_settings(FAST))
    stored = read_run(started)
    assert replace(planned.config.train, precision=stored.train.precision) == stored.train
    assert planned.config.train.num_queries == 33
    assert (planned.config.time, planned.config.chosen) == (600, CHOSEN)
    assert planned.costs == () and planned.seconds == 0  # nothing is measured
    lines = opening_lines(planned, started, ("joint",))
    assert "continues with the settings in" in lines[0]
    assert any("num_queries 33" in line and "for a test" in line for line in lines)
    before = read_log(started)
    train(panoptic, started, planned.config, "both")  # the same run, which is finished
    assert read_log(started) == before


@pytest.mark.parametrize(("stage", "seconds"), [("boxes", 0), ("masks", None), ("both", None)])
def test_the_time_of_a_stage_that_has_not_begun_is_unknown(
    stage: StageOption, seconds: float | None, panoptic: Path, tmp_path: Path
) -> None:
    config = replace(CONFIG, epochs=1)
    train(panoptic, tmp_path, RunConfig("drawn", config), "boxes")
    request = Request("drawn", Settings(dict(vars(config))), stage=stage)
    assert plan_run(panoptic, tmp_path, request, ALONE).seconds == seconds


@pytest.fixture
def stopped(started: Path, tmp_path: Path) -> Path:
    """The same run, stopped after its first epoch."""
    run = tmp_path / "stopped"
    copytree(started, run)
    path = checkpoint_path(run, "joint")
    checkpoint = load_checkpoint(path)
    save_checkpoint(path, replace(checkpoint, epoch=1, history=checkpoint.history[:1]))
    return run


@pytest.mark.parametrize("log", [None, b"", bytes(40)])
def test_a_run_continues_without_its_log(stopped: Path, panoptic: Path, log: bytes | None) -> None:
    """It was killed, or the power was cut, after the first checkpoint and before the log."""
    given = given_settings(FAST)
    expected = plan(panoptic, stopped, seconds=600, **given).seconds
    (stopped / "log.jsonl").unlink() if log is None else (stopped / "log.jsonl").write_bytes(log)
    assert masks_path(stopped) == checkpoint_path(stopped, "joint")
    planned = plan(panoptic, stopped, seconds=600, **given)
    assert planned.seconds == expected and planned.config.time == 600


def test_another_time_changes_the_number_of_epochs(stopped: Path) -> None:
    settings = Settings(given_settings(FAST))
    longer = continue_run(stopped, "drawn", settings, init=None, seconds=3600)
    assert longer.config.train.train_time == pytest.approx(3000.1)
    assert longer.config.time == 3600
    assert longer.note.endswith("but with a total time of 60 min instead of 10 min")
    assert 2000 < longer.seconds_left < 3000.1
    shorter = continue_run(stopped, "drawn", settings, init=None, seconds=1)
    assert shorter.config.train.train_time == 1 and shorter.seconds_left  # one epoch is left


def test_another_time_must_be_able_to_determine_the_epochs(started: Path, stopped: Path) -> None:
    settings = given_settings(FAST)
    with pytest.raises(InputError, match="--time: expected no `epochs`"):
        by_hand = Settings({**settings, "epochs": 3})
        continue_run(stopped, "drawn", by_hand, init=None, seconds=60)
    with pytest.raises(InputError, match="its learning rates have begun to fall"):
        continue_run(started, "drawn", Settings(settings), init=None, seconds=60)
    write_yaml(stopped / "config.yaml", replace(read_run(started), time=None))
    with pytest.raises(InputError, match="stopped: was started without --time"):
        continue_run(stopped, "drawn", Settings(settings), init=None, seconds=60)
