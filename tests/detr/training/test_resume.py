"""Stopped and resumed training gives the same results as uninterrupted training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import pytest

from base.errors import InputError
from base.parsing import write_json
from detr.config import TrainConfig
from detr.training.train import train
from tests.detr.drawn import draw_set
from tests.detr.training.runs import (
    AVERAGED,
    CACHED,
    FAST,
    FAST_KILLED,
    KILLED,
    MASKS_CACHED,
    read_log,
    run_config,
)


@pytest.mark.parametrize(
    "config",
    [AVERAGED, CACHED, MASKS_CACHED],
    ids=["averaged", "cached", "masks cached"],
)
def test_resumed_training_has_the_same_losses_as_an_uninterrupted_run(
    panoptic: Path, tmp_path: Path, config: TrainConfig
) -> None:
    train(panoptic, tmp_path / "whole", run_config(config), "both")
    train(panoptic, tmp_path / "parts", run_config(config, epochs=1, mask_epochs=1), "boxes")
    train(panoptic, tmp_path / "parts", run_config(config, mask_epochs=1), "both")
    train(panoptic, tmp_path / "parts", run_config(config, num_workers=1), "masks")
    lines = read_log(tmp_path / "whole")
    assert lines == read_log(tmp_path / "parts")
    assert [(line["stage"], line["epoch"]) for line in lines] == [
        ("boxes", 1),
        ("boxes", 2),
        ("masks", 1),
        ("masks", 2),
    ]
    for line in lines:
        for split in ("train", "test"):
            parts = line[split]
            names = ("loss_mask", "loss_dice") if line["stage"] == "masks" else None
            summed = names or [n for n in parts if n.startswith("loss_")]
            assert parts["loss"] == pytest.approx(sum(parts[n] for n in summed), rel=1e-4)
            assert {"loss_ce", "loss_bbox", "loss_giou", "loss_ce_0", "class_error"} <= set(parts)


def test_a_resumed_fast_training_has_the_same_losses(panoptic: Path, tmp_path: Path) -> None:
    """Also if other processes read the photos."""
    train(panoptic, tmp_path / "whole", run_config(FAST), "both")
    train(panoptic, tmp_path / "parts", run_config(FAST, epochs=1), "both")
    train(panoptic, tmp_path / "parts", run_config(FAST, num_workers=1), "joint")
    lines = read_log(tmp_path / "whole")
    assert lines == read_log(tmp_path / "parts")
    assert [(line["stage"], line["epoch"]) for line in lines] == [("joint", 1), ("joint", 2)]
    for line in lines:
        assert line["train"].keys() == line["test"].keys() > {"loss_semantic", "loss_ce_dense"}
        for split in ("train", "test"):
            parts = [value for name, value in line[split].items() if name.startswith("loss_")]
            assert line[split]["loss"] == pytest.approx(sum(parts), rel=1e-4)


@pytest.mark.parametrize(("name", "stage"), [("KILLED", "boxes"), ("FAST_KILLED", "joint")])
def test_a_run_killed_during_an_epoch_loses_only_that_epoch(
    panoptic: Path, tmp_path: Path, name: str, stage: Literal["boxes", "joint"]
) -> None:
    config = {"KILLED": KILLED, "FAST_KILLED": FAST_KILLED}[name]
    train(panoptic, tmp_path / "whole", run_config(config), stage)
    code = (
        "from pathlib import Path; from detr.training.train import train;"
        f" from tests.detr.training.runs import {name}, run_config;"
        f" train(Path({str(panoptic)!r}), Path({str(tmp_path / 'killed')!r}),"
        f" run_config({name}), {stage!r})"
    )
    killed = subprocess.Popen([sys.executable, "-c", code])
    path = tmp_path / "killed" / "log.jsonl"
    while not (path.exists() and path.read_text()):
        assert killed.poll() is None
        time.sleep(0.01)
    time.sleep(0.1)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert 1 <= len(read_log(tmp_path / "killed")) < 3
    with path.open("a") as file:  # as if the run had been killed between writing two files
        file.write('{"stage": "boxes", "epoch": 3, "seconds": 1}\n')
    train(panoptic, tmp_path / "killed", run_config(config), stage)
    assert read_log(tmp_path / "killed") == read_log(tmp_path / "whole")
    names = {path.name for path in (tmp_path / "killed" / "checkpoints").iterdir()}
    assert names == {f"{stage}.pt", f"{stage}-best.pt", f"{stage}-0002.pt"}
    lines = read_log(tmp_path / "whole")
    rates = [line["lr"] / config.lr for line in lines]
    assert rates == sorted(rates, reverse=True) and 0 < rates[-1] < 0.1
    assert all(line["lr_backbone"] == pytest.approx(line["lr"] / 10) for line in lines)


def test_ctrl_c_prints_how_to_continue(panoptic: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys, threading; from pathlib import Path;"
        " from detr.training.train import train;"
        " from tests.detr.training.runs import CONFIG, run_config\n"
        f"try: train(Path({str(panoptic)!r}), Path({str(tmp_path / 'run')!r}),"
        " run_config(CONFIG, epochs=50), 'boxes')\n"
        "except KeyboardInterrupt: sys.exit(7)\n"
    )
    running = subprocess.Popen([sys.executable, "-uc", code], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert "boxes 1/50" in running.stdout.readline()
    os.kill(running.pid, signal.SIGINT)
    printed = running.stdout.read()
    assert running.wait() == 7
    last = printed.splitlines()[-1]
    assert last.startswith("stopped in epoch ") and "run the same command again" in last


def test_a_finished_stage_is_not_trained_again(
    panoptic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = run_config(CACHED, epochs=1)
    train(panoptic, tmp_path, config, "boxes")
    before = (tmp_path / "checkpoints" / "boxes.pt").stat().st_mtime_ns
    train(panoptic, tmp_path, config, "boxes")
    assert "boxes: already trained (epochs: 1)" in capsys.readouterr().out
    assert (tmp_path / "checkpoints" / "boxes.pt").stat().st_mtime_ns == before
    with pytest.raises(InputError, match=r"lr: 0.0001 -> 0.5.*another --run"):
        train(panoptic, tmp_path, run_config(CACHED, epochs=1, lr=0.5), "boxes")


def test_a_run_does_not_continue_on_other_data(tmp_path: Path) -> None:
    panoptic = draw_set(tmp_path / "panoptic", train=1, test=1)
    config = run_config(CACHED, epochs=1)
    train(panoptic, tmp_path / "run", config, "boxes")
    write_json(panoptic / "manifest.json", {"seed": 8})
    with pytest.raises(InputError, match=r"different build.*another --run"):
        train(panoptic, tmp_path / "run", config, "boxes")


def test_masks_are_restarted_if_boxes_were_trained_further(
    panoptic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = {"epochs": 1, "mask_epochs": 1, "keep_every": 1}
    train(panoptic, tmp_path, run_config(CACHED, **short), "both")
    train(panoptic, tmp_path, run_config(CACHED, **short | {"epochs": 2}), "both")
    assert "masks: restarted, because the box model has been trained" in capsys.readouterr().out
    lines = [(line["stage"], line["epoch"]) for line in read_log(tmp_path)]
    assert lines == [("boxes", 1), ("boxes", 2), ("masks", 1)]


def test_a_run_without_a_finished_epoch_accepts_other_settings(
    panoptic: Path, tmp_path: Path
) -> None:
    """The error about a NaN loss advises this: a lower learning rate, in the same run."""
    with pytest.raises(InputError, match="the loss became"):
        train(panoptic, tmp_path, run_config(CACHED, lr=1e30, clip_max_norm=0), "boxes")
    train(panoptic, tmp_path, run_config(CACHED, epochs=1), "boxes")
    assert len(read_log(tmp_path)) == 1
