"""Stopping and going on: the same numbers as without a stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from base.errors import InputError
from base.locks import locked
from base.parsing import write_json
from conversion.coco.panoptic import PanopticSet, write_panoptic
from detr.config import RunConfig, TrainConfig, read_run
from detr.training.train import train
from detr.weights.checkpoint import load_checkpoint, save_checkpoint
from tests.detr.drawn import CATEGORIES, SQUARE, draw_set, write_photo

CPU = torch.device("cpu")

CONFIG = TrainConfig(
    backbone="efficientnet_lite0",
    hidden_dim=128,
    enc_layers=1,
    dec_layers=2,
    dim_feedforward=64,
    num_queries=6,
    epochs=2,
    mask_epochs=2,
    min_size=64,
    max_size=96,
    train_sizes=(48, 64),
    num_workers=0,
    score_every=0,
)
CACHED = replace(CONFIG, cached_views=2, lr_backbone=0)
MASKS_CACHED = replace(CONFIG, cached_views=2)  # the backbone is trained, the masks' trunk is not
AVERAGED = replace(
    CONFIG, ema_decay=0.9, accumulate=2, warmup_steps=3, batch_size=1, score_every=1, patience=9
)


@pytest.fixture(scope="module")
def panoptic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_set(tmp_path_factory.mktemp("drawn") / "panoptic")


def log(run: Path) -> list[dict[str, Any]]:
    """The lines of a log without what took how long."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "time")} for line in lines]


def run_config(config: TrainConfig, **changes: Any) -> RunConfig:
    return RunConfig("drawn", replace(config, **changes))


@pytest.mark.parametrize(
    "config",
    [CONFIG, CACHED, MASKS_CACHED, AVERAGED],
    ids=["photos", "cached", "masks cached", "averaged"],
)
def test_going_on_gives_the_losses_of_an_unbroken_run(
    panoptic: Path, tmp_path: Path, config: TrainConfig
) -> None:
    torch.set_num_threads(2)
    train(panoptic, tmp_path / "whole", run_config(config), "both")
    train(panoptic, tmp_path / "parts", run_config(config, epochs=1, mask_epochs=1), "boxes")
    train(panoptic, tmp_path / "parts", run_config(config, mask_epochs=1), "both")
    train(panoptic, tmp_path / "parts", run_config(config, num_workers=1), "masks")
    torch.set_num_threads(1)
    lines = log(tmp_path / "whole")
    assert lines == log(tmp_path / "parts")
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


KILLED = replace(AVERAGED, epochs=3, schedule="cosine", keep_every=2)


@pytest.mark.parametrize("stage", ["boxes", "joint"])
def test_a_kill_in_mid_epoch_loses_that_epoch_only(
    panoptic: Path, tmp_path: Path, stage: Literal["boxes", "joint"]
) -> None:
    train(panoptic, tmp_path / "whole", run_config(KILLED), stage)
    code = (
        "from pathlib import Path; from detr.training.train import train;"
        " from tests.detr.training.test_train import KILLED, run_config;"
        f" train(Path({str(panoptic)!r}), Path({str(tmp_path / 'killed')!r}),"
        f" run_config(KILLED), {stage!r})"
    )
    killed = subprocess.Popen([sys.executable, "-c", code])
    path = tmp_path / "killed" / "log.jsonl"
    for _ in range(3000):
        if path.exists() and path.read_text():
            break
        assert killed.poll() is None
        time.sleep(0.01)
    time.sleep(0.1)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert 1 <= len(log(tmp_path / "killed")) < 3
    with path.open("a") as file:  # as if the kill had come between two files
        file.write('{"stage": "boxes", "epoch": 3, "seconds": 1}\n')
    train(panoptic, tmp_path / "killed", run_config(KILLED), stage)
    assert log(tmp_path / "killed") == log(tmp_path / "whole")
    names = {path.name for path in (tmp_path / "killed" / "checkpoints").iterdir()}
    assert names == {f"{stage}.pt", f"{stage}-best.pt", f"{stage}-0002.pt"}
    lines = log(tmp_path / "whole")
    rates = [line["lr"] / KILLED.lr for line in lines]
    assert rates == sorted(rates, reverse=True) and 0 < rates[-1] < 0.1
    assert all(line["lr_backbone"] == pytest.approx(line["lr"] / 10) for line in lines)


def test_ctrl_c_says_how_to_go_on(panoptic: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys, threading; from pathlib import Path;"
        " from detr.training.train import train;"
        " from tests.detr.training.test_train import CONFIG, run_config\n"
        f"try: train(Path({str(panoptic)!r}), Path({str(tmp_path / 'run')!r}),"
        " run_config(CONFIG, epochs=50), 'boxes')\n"
        "except KeyboardInterrupt: sys.exit(7)\n"
    )
    running = subprocess.Popen([sys.executable, "-uc", code], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert "boxes 1/50" in running.stdout.readline()
    os.kill(running.pid, signal.SIGINT)
    said = running.stdout.read()
    assert running.wait() == 7
    assert said.splitlines()[-1].startswith("stopped in epoch ")


def test_segments_of_every_kind_are_trained_on(tmp_path: Path) -> None:
    """A photo without segments, one of a single pixel, ids far apart, more than queries."""
    panoptic = draw_set(tmp_path / "panoptic", train=0, test=1)
    empty = np.zeros((64, 96), np.uint32)
    pixel, far, many = empty.copy(), empty.copy(), empty.copy()
    pixel[30, 40] = 7
    far[:20], far[30:50, 10:40] = 3, (1 << 24) - 1
    for number in range(10):
        many[6 * number : 6 * number + 5] = number + 1
    pictures = [empty, pixel, far, many]
    train_set = tuple(
        write_photo(panoptic / "train", panoptic / "panoptic_train", index, ids, categories)
        for index, ids in enumerate(pictures, start=1)
        for categories in [dict.fromkeys(np.unique(ids[ids > 0]).tolist(), SQUARE)]
    )
    json_path = panoptic / "annotations" / "panoptic_train.json"
    write_panoptic(PanopticSet(json_path, panoptic / "panoptic_train", CATEGORIES, train_set))
    config = run_config(CONFIG, batch_size=1, epochs=1, mask_epochs=1, crop=1.0)
    train(panoptic, tmp_path / "run", config, "both")
    for line in log(tmp_path / "run"):
        assert all(np.isfinite(value) for value in line["train"].values())


def test_a_finished_stage_is_not_trained_again(
    panoptic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = run_config(CACHED, epochs=1)
    train(panoptic, tmp_path, config, "boxes")
    before = (tmp_path / "checkpoints" / "boxes.pt").stat().st_mtime_ns
    train(panoptic, tmp_path, config, "boxes")
    assert "boxes: already trained (1 epochs)" in capsys.readouterr().out
    assert (tmp_path / "checkpoints" / "boxes.pt").stat().st_mtime_ns == before
    with pytest.raises(InputError, match=r"lr: 0.0001 -> 0.5.*another --run"):
        train(panoptic, tmp_path, run_config(CACHED, epochs=1, lr=0.5), "boxes")


def test_other_data_does_not_go_on(tmp_path: Path) -> None:
    panoptic = draw_set(tmp_path / "panoptic", train=1, test=1)
    config = run_config(CACHED, epochs=1)
    train(panoptic, tmp_path / "run", config, "boxes")
    write_json(panoptic / "manifest.json", {"seed": 8})
    with pytest.raises(InputError, match=r"another build.*another --run"):
        train(panoptic, tmp_path / "run", config, "boxes")


def test_masks_need_boxes(panoptic: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 of 2 epochs"):
        train(panoptic, tmp_path, run_config(CACHED), "masks")


def test_the_masks_stage_leaves_the_trunk_as_it_was(panoptic: Path, tmp_path: Path) -> None:
    train(panoptic, tmp_path, run_config(CACHED, epochs=1, mask_epochs=1), "both")
    boxes = load_checkpoint(tmp_path / "checkpoints" / "boxes.pt")
    masks = load_checkpoint(tmp_path / "checkpoints" / "masks.pt")
    assert masks.classes.categories == boxes.classes.categories == CATEGORIES
    assert all(torch.equal(masks.model[f"detr.{n}"], value) for n, value in boxes.model.items())


def test_more_segments_than_queries_is_said_once(
    panoptic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(panoptic, tmp_path, run_config(CACHED, num_queries=2, epochs=1), "boxes")
    assert capsys.readouterr().out.count("more segments than num_queries 2") == 1


def test_a_loss_that_is_no_number_names_the_photos(panoptic: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"epoch 1: the loss became (nan|inf) on photo\d\.png"):
        train(panoptic, tmp_path, run_config(CACHED, lr=1e30, clip_max_norm=0), "boxes")
    assert not (tmp_path / "log.jsonl").read_text()


def test_a_loss_that_is_no_number_later_keeps_the_last_checkpoint(
    panoptic: Path, tmp_path: Path
) -> None:
    train(panoptic, tmp_path, run_config(CACHED, epochs=1), "boxes")
    path = tmp_path / "checkpoints" / "boxes.pt"
    spoilt = load_checkpoint(path)
    spoilt.model["class_embed.bias"].fill_(float("nan"))
    save_checkpoint(path, spoilt)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"epoch 2: the loss became nan on photo\d\.png, photo\d"):
        train(panoptic, tmp_path, run_config(CACHED, epochs=2), "boxes")
    assert path.read_bytes() == before and len(log(tmp_path)) == 1


def test_a_run_without_an_epoch_takes_other_values(panoptic: Path, tmp_path: Path) -> None:
    """What the message about a NaN loss advises: a lower rate, in the same run."""
    with pytest.raises(InputError, match="the loss became"):
        train(panoptic, tmp_path, run_config(CACHED, lr=1e30, clip_max_norm=0), "boxes")
    train(panoptic, tmp_path, run_config(CACHED, epochs=1), "boxes")
    assert len(log(tmp_path)) == 1


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_broken_photo_is_one_line(tmp_path: Path, num_workers: int) -> None:
    panoptic = draw_set(tmp_path / "panoptic", train=2, test=1)
    photo = sorted((panoptic / "train").iterdir())[0]
    photo.write_bytes(b"no photo")
    with pytest.raises(InputError) as error:
        train(panoptic, tmp_path / "run", run_config(CONFIG, num_workers=num_workers), "boxes")
    assert str(error.value) == f"{photo}: cannot be read as a photo"


def test_a_run_keeps_its_precision_on_another_machine(
    panoptic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` is decided once, by what the machine has that begins the run."""
    for there, wanted, decided in [
        (True, "auto", "bfloat16"),
        (False, "auto", "bfloat16"),
        (False, "bfloat16", "bfloat16"),
    ]:
        monkeypatch.setattr("detr.training.run.has_bfloat16", lambda device, there=there: there)
        train(panoptic, tmp_path, run_config(CONFIG, epochs=1, precision=wanted), "boxes")
        assert read_run(tmp_path).train.precision == decided
    with pytest.raises(InputError, match="precision: bfloat16 -> float32"):
        train(panoptic, tmp_path, run_config(CONFIG, epochs=1, precision="float32"), "boxes")
    train(panoptic, tmp_path / "new", run_config(CONFIG, epochs=1), "boxes")
    assert read_run(tmp_path / "new").train.precision == "float32"


def test_without_test_photos_it_trains(tmp_path: Path) -> None:
    panoptic = draw_set(tmp_path / "panoptic", train=2, test=0)
    (panoptic / "panoptic_test").mkdir(exist_ok=True)
    train(panoptic, tmp_path / "run", run_config(CACHED, epochs=1, mask_epochs=1), "both")
    assert [line["test"] for line in log(tmp_path / "run")] == [{}, {}]


def test_a_run_starts_from_the_weights_of_another(
    panoptic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(panoptic, tmp_path / "first", run_config(CACHED, epochs=2, mask_epochs=1), "both")
    weights = str(tmp_path / "first/checkpoints/masks.pt")
    frozen = replace(run_config(CACHED, epochs=1, mask_epochs=1, lr=1e-12, mask_lr=1e-12))
    capsys.readouterr()
    train(panoptic, tmp_path / "second", replace(frozen, init=weights), "both")
    said = capsys.readouterr().out
    assert f"start from {weights}" in said
    assert said.count(" from ") > 2
    learnt, started = log(tmp_path / "first"), log(tmp_path / "second")
    for stage in ("boxes", "masks"):
        (last,) = [one for one in learnt if one["stage"] == stage][-1:]
        (first,) = [one for one in started if one["stage"] == stage]
        assert first["test"]["loss"] == pytest.approx(last["test"]["loss"], rel=1e-4)
    train(panoptic, tmp_path / "second", frozen, "both")  # goes on without saying it again
    with pytest.raises(InputError, match=r"init: .*masks\.pt -> other\.pt"):
        train(panoptic, tmp_path / "second", replace(frozen, init="other.pt"), "both")


def test_weights_of_another_backbone_are_refused(panoptic: Path, tmp_path: Path) -> None:
    train(panoptic, tmp_path / "first", run_config(CACHED, epochs=1), "boxes")
    weights = str(tmp_path / "first/checkpoints/boxes.pt")
    other = run_config(CONFIG, epochs=1, backbone="resnet18", lr_backbone=1e-5)
    with pytest.raises(InputError, match="its backbone is another than the configuration's"):
        train(panoptic, tmp_path / "second", replace(other, init=weights), "boxes")


def test_two_trainings_never_work_on_one_run(panoptic: Path, tmp_path: Path) -> None:
    run, config = tmp_path / "run", RunConfig(str(panoptic.parent), CONFIG)
    with (
        locked(run / ".lock", ""),
        pytest.raises(InputError, match="run: another `train` is working on this run"),
    ):
        train(panoptic, run, config, "boxes")
    assert [path.name for path in run.iterdir()] == [".lock"]
