"""The log, scores and TensorBoard files of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from base.errors import InputError
from detr.prediction.predict import predict
from detr.training import run_folder
from detr.training.train import train
from detr.weights.checkpoint import load_checkpoint
from evaluation.scores.scores import evaluate_files
from tests.detr.training.runs import CACHED, CONFIG, read_log, run_config


def test_epochs_are_scored_at_an_interval_and_at_the_end(panoptic: Path, tmp_path: Path) -> None:
    train(panoptic, tmp_path, run_config(CACHED, epochs=5, score_every=2, mask_epochs=3), "both")
    scored = [(line["stage"], line["epoch"]) for line in read_log(tmp_path) if "scores" in line]
    assert scored == [("boxes", 2), ("boxes", 4), ("boxes", 5), ("masks", 2), ("masks", 3)]
    scores = [set(line["scores"]) for line in read_log(tmp_path) if "scores" in line]
    assert scores[0] == {"box_ap", "box_ap50"}
    assert {"pq", "sq", "rq", "pq_things", "pq_stuff"} <= scores[-1]
    best = load_checkpoint(tmp_path / "checkpoints" / "masks-best.pt")
    values = {e["epoch"]: e["scores"]["pq"] for e in read_log(tmp_path)[5:] if "scores" in e}
    assert values[best.epoch] == max(values.values())


def test_tensorboard_has_the_numbers_of_the_log(panoptic: Path, tmp_path: Path) -> None:
    train(panoptic, tmp_path, run_config(CACHED), "boxes")
    events = EventAccumulator(str(tmp_path / "tensorboard" / "boxes"))
    events.Reload()
    assert {"train/loss", "test/loss_ce", "lr", "grad_norm", "time/data"} <= set(
        events.Tags()["scalars"]
    )
    values = [event.value for event in events.Scalars("train/loss")]
    assert values == pytest.approx([line["train"]["loss"] for line in read_log(tmp_path)])


@pytest.mark.parametrize(
    ("before", "calls"), [("write_tensorboard", 0), ("save_checkpoint", 0), ("write_log", 1)]
)
def test_tensorboard_has_every_epoch_after_a_kill(
    panoptic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, calls: int
) -> None:
    """The run is killed before each of the second epoch's files; starting it writes the log too."""
    train(panoptic, tmp_path, run_config(CACHED, epochs=1), "boxes")
    real, left = getattr(run_folder, before), iter(range(calls))

    def killed(*arguments: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run_folder, before, killed)
        train(panoptic, tmp_path, run_config(CACHED, epochs=3), "boxes")
    train(panoptic, tmp_path, run_config(CACHED, epochs=3), "boxes")
    events = EventAccumulator(str(tmp_path / "tensorboard" / "boxes"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3]


def test_every_log_line_has_the_time_spent_on_each_part(panoptic: Path, tmp_path: Path) -> None:
    train(panoptic, tmp_path, run_config(CONFIG, epochs=1, mask_epochs=1), "both")
    for text in (tmp_path / "log.jsonl").read_text().splitlines():
        line = json.loads(text)
        assert set(line["time"]) == {"data", "forward", "matching", "backward"}
        assert 0 < sum(line["time"].values()) <= line["seconds"]


def test_masks_are_trained_after_early_stopping_of_boxes(
    panoptic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a learning rate that changes no weight, the first epoch remains the best."""
    config = run_config(CACHED, lr=1e-30, epochs=9, patience=2, mask_epochs=1)
    train(panoptic, tmp_path, config, "both")
    lines = read_log(tmp_path)
    boxes = [line["test"]["loss"] for line in lines if line["stage"] == "boxes"]
    assert len(boxes) == 3 and len(set(boxes)) == 1
    assert lines[-1]["stage"] == "masks"
    train(panoptic, tmp_path, config, "both")
    assert f"boxes: already trained (epochs: {len(boxes)})" in capsys.readouterr().out


def test_the_joint_stage_trains_all_parts_and_predicts(panoptic: Path, tmp_path: Path) -> None:
    config = run_config(CONFIG, epochs=1, score_every=1, threshold=0.0)
    train(panoptic, tmp_path / "run", config, "joint")
    (line,) = read_log(tmp_path / "run")
    parts = {n: v for n, v in line["train"].items() if n.startswith("loss_")}
    assert {"loss_mask", "loss_dice", "loss_ce_0"} <= parts.keys()
    assert line["train"]["loss"] == pytest.approx(sum(parts.values()), rel=1e-4)
    predict(tmp_path / "run", panoptic / "test", tmp_path / "out")
    truth = panoptic / "annotations" / "panoptic_test.json"
    quality = evaluate_files(truth, tmp_path / "out" / "panoptic.json").quality
    assert line["scores"]["pq"] == quality.all.pq
    with pytest.raises(InputError, match=r"has the stages joint.*another --run"):
        train(panoptic, tmp_path / "run", config, "boxes")
