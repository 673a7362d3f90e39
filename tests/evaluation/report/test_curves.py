from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import InputError
from evaluation.report.curves import HEIGHT, WIDTH, plot_stages
from evaluation.report.log import read_log
from tests.evaluation.report.test_page import LOG


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"stage": ', "truncated"),
        ('{"stage": "boxes", "epoch": 2, "test": {}}', "missing required field `train`"),
        (
            '{"stage": "boxes", "epoch": 2, "train": [], "test": {}}',
            r"`object`, got `array`.*train",
        ),
        ("[]", "`object`, got `array`"),
    ],
)
def test_an_invalid_line_of_the_log_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "log.jsonl").write_text(LOG + line)
    with pytest.raises(InputError, match=rf"log.jsonl: line 4: expected an epoch .*{message}"):
        read_log(tmp_path / "log.jsonl")


def test_losses_that_only_some_epochs_have_and_scores_are_drawn(tmp_path: Path) -> None:
    lines = (
        '{"stage": "boxes", "epoch": 1, "train": {}, "test": {}}',
        '{"stage": "boxes", "epoch": 2, "train": {"loss": 4, "loss_ce": null}, "test": {}}',
        '{"stage": "boxes", "epoch": 3, "train": {"loss": 2, "loss_ce_0": 1}, "tune": {"loss": 1},'
        ' "scores": {"pq": 0.5}}',
        '{"stage": "masks", "epoch": 1, "train": {}, "test": {}}',
    )
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    boxes, masks = plot_stages(read_log(tmp_path / "log.jsonl"))
    (loss,), (pq,) = boxes.losses, boxes.scores
    train, tune = loss.curves
    assert train.path == f"M{WIDTH / 2} 0.0L{WIDTH:.1f} {HEIGHT / 2}"
    assert (train.last, tune.split, tune.last) == ("2", "tune", "1")
    assert [tick.text for tick in loss.x] == ["1", "3"]
    assert [tick.text for tick in loss.y] == ["0", "1", "2", "3", "4"]
    assert pq.curves[0].last == "50.0"
    assert not masks.losses and masks.epochs == 1
