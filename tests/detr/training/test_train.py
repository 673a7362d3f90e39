"""Training on unusual data, and the errors and warnings of training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from base.errors import InputError
from base.locks import BusyError, locked
from conversion.coco.panoptic import PanopticSet
from conversion.coco.panoptic_file import write_panoptic
from detr.config import RunConfig, read_run
from detr.training.train import train
from detr.weights.checkpoint import load_checkpoint, save_checkpoint
from tests.detr.drawn import CATEGORIES, SQUARE, draw_set, write_photo
from tests.detr.training.runs import CACHED, CONFIG, FAST, read_log, run_config


def test_segments_of_every_kind_are_trained_on(tmp_path: Path) -> None:
    """No segments, a segment of one pixel, ids with a large gap, more segments than queries."""
    panoptic = draw_set(tmp_path / "panoptic", train=0, test=1)
    empty = np.zeros((64, 96), np.uint32)
    pixel, far, many = empty.copy(), empty.copy(), empty.copy()
    pixel[30, 40] = 7
    far[:20], far[30:50, 10:40] = 3, (1 << 24) - 1
    for number in range(10):
        many[6 * number : 6 * number + 5] = number + 1
    train_set = tuple(
        write_photo(panoptic / "train", panoptic / "panoptic_train", index, ids, categories)
        for index, ids in enumerate((empty, pixel, far, many), start=1)
        for categories in [dict.fromkeys(np.unique(ids[ids > 0]).tolist(), SQUARE)]
    )
    json_path = panoptic / "annotations" / "panoptic_train.json"
    write_panoptic(PanopticSet(json_path, panoptic / "panoptic_train", CATEGORIES, train_set))
    config = run_config(CONFIG, batch_size=1, epochs=1, mask_epochs=1, crop=1.0)
    train(panoptic, tmp_path / "run", config, "both")
    for line in read_log(tmp_path / "run"):
        assert all(np.isfinite(value) for value in line["train"].values())


def test_training_works_without_test_photos(tmp_path: Path) -> None:
    panoptic = draw_set(tmp_path / "panoptic", train=2, test=0)
    (panoptic / "panoptic_test").mkdir(exist_ok=True)
    train(panoptic, tmp_path / "run", run_config(CACHED, epochs=1, mask_epochs=1), "both")
    assert [line["test"] for line in read_log(tmp_path / "run")] == [{}, {}]


def test_masks_need_boxes(panoptic: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 of 2 epochs"):
        train(panoptic, tmp_path, run_config(CACHED), "masks")


def test_the_masks_stage_does_not_change_the_box_model(panoptic: Path, tmp_path: Path) -> None:
    train(panoptic, tmp_path, run_config(CACHED, epochs=1, mask_epochs=1), "both")
    boxes = load_checkpoint(tmp_path / "checkpoints" / "boxes.pt")
    masks = load_checkpoint(tmp_path / "checkpoints" / "masks.pt")
    assert masks.classes.categories == boxes.classes.categories == CATEGORIES
    assert all(torch.equal(masks.model[f"detr.{n}"], value) for n, value in boxes.model.items())


def test_more_segments_than_queries_are_reported_once(
    panoptic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(panoptic, tmp_path, run_config(CACHED, num_queries=2, epochs=1), "boxes")
    assert capsys.readouterr().out.count("more segments than num_queries 2") == 1


def test_an_error_about_an_infinite_loss_names_the_photos(panoptic: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"epoch 1: the loss became (nan|inf) on photo\d\.png"):
        train(panoptic, tmp_path, run_config(CACHED, lr=1e30, clip_max_norm=0), "boxes")
    assert not (tmp_path / "log.jsonl").read_text()


def test_a_nan_loss_in_a_later_epoch_keeps_the_last_checkpoint(
    panoptic: Path, tmp_path: Path
) -> None:
    train(panoptic, tmp_path, run_config(CACHED, epochs=1), "boxes")
    path = tmp_path / "checkpoints" / "boxes.pt"
    damaged = load_checkpoint(path)
    damaged.model["class_embed.bias"].fill_(float("nan"))
    save_checkpoint(path, damaged)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"epoch 2: the loss became nan on photo\d\.png, photo\d"):
        train(panoptic, tmp_path, run_config(CACHED, epochs=2), "boxes")
    assert path.read_bytes() == before and len(read_log(tmp_path)) == 1


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_damaged_photo_is_reported_in_one_line(tmp_path: Path, num_workers: int) -> None:
    panoptic = draw_set(tmp_path / "panoptic", train=2, test=1)
    photo = sorted((panoptic / "train").iterdir())[0]
    photo.write_bytes(b"no photo")
    with pytest.raises(InputError) as error:
        train(panoptic, tmp_path / "run", run_config(CONFIG, num_workers=num_workers), "boxes")
    message = str(error.value)
    assert message.startswith(f"{photo}: cannot be read as a photo") and "\n" not in message


def test_a_run_keeps_its_precision_on_another_machine(
    panoptic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` is resolved once, for the machine that starts the run."""
    for supported, configured, expected in [
        (True, "auto", "bfloat16"),
        (False, "auto", "bfloat16"),
        (False, "bfloat16", "bfloat16"),
    ]:
        monkeypatch.setattr(
            "detr.training.run_folder.has_bfloat16", lambda device, value=supported: value
        )
        train(panoptic, tmp_path, run_config(CONFIG, epochs=1, precision=configured), "boxes")
        assert read_run(tmp_path).train.precision == expected
    with pytest.raises(InputError, match="precision: bfloat16 -> float32"):
        train(panoptic, tmp_path, run_config(CONFIG, epochs=1, precision="float32"), "boxes")
    train(panoptic, tmp_path / "new", run_config(CONFIG, epochs=1), "boxes")
    assert read_run(tmp_path / "new").train.precision == "float32"


def test_a_run_starts_from_the_weights_of_another(
    panoptic: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train(panoptic, tmp_path / "first", run_config(CACHED, epochs=2, mask_epochs=1), "both")
    weights = str(tmp_path / "first/checkpoints/masks.pt")
    frozen = replace(run_config(CACHED, epochs=1, mask_epochs=1, lr=1e-12, mask_lr=1e-12))
    capsys.readouterr()
    opened: list[Path] = []
    load = torch.load

    def load_and_count(path: Path, **options: Any) -> Any:
        opened.append(path)
        return load(path, **options)

    monkeypatch.setattr(torch, "load", load_and_count)
    train(panoptic, tmp_path / "second", replace(frozen, init=weights), "both")
    assert opened.count(Path(weights)) == 1  # both stages start from the same file
    printed = capsys.readouterr().out
    assert f"initial weights: {weights}" in printed
    assert printed.count("copied from circle") == 1
    learnt, started = read_log(tmp_path / "first"), read_log(tmp_path / "second")
    for stage in ("boxes", "masks"):
        (last,) = [line for line in learnt if line["stage"] == stage][-1:]
        (first,) = [line for line in started if line["stage"] == stage]
        assert first["test"]["loss"] == pytest.approx(last["test"]["loss"], rel=1e-4)
    train(panoptic, tmp_path / "second", frozen, "both")  # a continued run does not start again
    with pytest.raises(InputError, match=r"init: .*masks\.pt -> other\.pt"):
        train(panoptic, tmp_path / "second", replace(frozen, init="other.pt"), "both")


def test_weights_of_another_backbone_are_refused(panoptic: Path, tmp_path: Path) -> None:
    train(panoptic, tmp_path / "first", run_config(CACHED, epochs=1), "boxes")
    weights = str(tmp_path / "first/checkpoints/boxes.pt")
    other = run_config(CONFIG, epochs=1, backbone="resnet18", lr_backbone=1e-5)
    with pytest.raises(InputError, match=r"`backbone` resnet18, found another backbone"):
        train(panoptic, tmp_path / "second", replace(other, init=weights), "boxes")


def test_two_training_processes_cannot_use_one_run(panoptic: Path, tmp_path: Path) -> None:
    run, config = tmp_path / "run", RunConfig(str(panoptic.parent), CONFIG)
    with (
        locked(run / ".lock"),
        pytest.raises(BusyError, match=r"run: .* is working on it"),
    ):
        train(panoptic, run, config, "boxes")
    assert [path.name for path in run.iterdir()] == [".lock"]


@pytest.mark.parametrize("kinds", ["both", "things", "stuff"])
def test_the_fast_variant_trains_on_photos_of_every_kind(tmp_path: Path, kinds: str) -> None:
    """Of all shapes, without segments, with a pixel, a crowd, and more segments than queries."""
    categories = [c for c in CATEGORIES if kinds in ("both", "things" if c.isthing else "stuff")]
    panoptic = draw_set(tmp_path / "panoptic", train=0, test=0)
    empty, pixel, many = (np.zeros(size, np.uint32) for size in ((64, 96), (90, 40), (40, 200)))
    pixel[30, 30] = 7
    for number in range(20):
        many[:, 10 * number : 10 * number + 8] = number + 1
    photos = []
    for index, ids in enumerate((empty, pixel, many), start=1):
        category_of = {
            number: categories[number % len(categories)].id for number in np.unique(ids[ids > 0])
        }
        folders = panoptic / "train", panoptic / "panoptic_train"
        photos.append(write_photo(*folders, index, ids, category_of))
    crowd = replace(photos[2].segments[0], iscrowd=True)
    photos[2] = replace(photos[2], segments=(crowd, *photos[2].segments[1:]))
    for split, split_photos in (("train", photos), ("test", photos)):
        path = panoptic / "annotations" / f"panoptic_{split}.json"
        pngs = panoptic / "panoptic_train"
        write_panoptic(PanopticSet(path, pngs, tuple(categories), tuple(split_photos)))
    (panoptic / "train").rename(panoptic / "test")
    (panoptic / "train").symlink_to(panoptic / "test")
    (panoptic / "panoptic_test").symlink_to(pngs)
    config = run_config(FAST, batch_size=1, accumulate=3, epochs=2, score_every=2)
    train(panoptic, tmp_path / "run", config, "both")
    lines = read_log(tmp_path / "run")
    assert len(lines) == 2 and 0 <= lines[-1]["scores"]["pq"] <= 1
    for line in lines:
        assert all(np.isfinite(value) for value in (*line["train"].values(), line["grad_norm"]))
        assert ("loss_ce" in line["train"]) and line["grad_norm"] > 0


def test_the_fast_variant_has_no_stages(panoptic: Path, tmp_path: Path) -> None:
    for stage in ("boxes", "masks"):
        with pytest.raises(InputError, match=f"--stage {stage}: `variant: fast` learns boxes and"):
            train(panoptic, tmp_path / "run", run_config(FAST), stage)
    assert not (tmp_path / "run/config.yaml").exists()


def test_a_fast_run_starts_from_the_weights_of_another(
    panoptic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its first test loss is the last one of the other run, whose weights hardly change."""
    train(panoptic, tmp_path / "first", run_config(FAST), "both")
    frozen = run_config(FAST, epochs=1, lr=1e-12, lr_backbone=1e-12, lr_muon=1e-12)
    weights = str(tmp_path / "first/checkpoints/joint.pt")
    capsys.readouterr()
    train(panoptic, tmp_path / "second", replace(frozen, init=weights), "both")
    printed = capsys.readouterr().out
    assert printed.count("copied from circle") == printed.count("copied from grass") == 1
    learnt, (started,) = read_log(tmp_path / "first"), read_log(tmp_path / "second")
    assert started["test"]["loss"] == pytest.approx(learnt[-1]["test"]["loss"], rel=1e-3)
    assert learnt[0]["test"]["loss"] > 1.01 * learnt[-1]["test"]["loss"]
