"""The subcommand that builds the panoptic data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.conversion import convert
from conversion.config import open_valid_dataset
from labelme_panoptic_detr.datasets import check, print_split_warnings
from tests.drawn import YAML, draw_dataset, square

BOX = [square("box", 2, 2, 9), square("disc", 20, 2, 9)]


@pytest.mark.parametrize(
    ("split", "photos", "severity", "message"),
    [
        ("train: 0.9, test: 0.1", 1, "warning", "the split 'test' has no photos"),
        ("train: 1.0", 2, "note", "all photos are for training"),
        ("train: 0.9, val: 0.1", 1, "warning", "the split 'val' has no photos"),
    ],
)
def test_a_split_without_photos_is_said_at_once(
    split: str,
    photos: int,
    severity: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    yaml = YAML.replace("train: 0.5, test: 0.5", split)
    dataset = draw_dataset(tmp_path, {f"p{n}": BOX for n in range(photos)}, yaml=yaml)
    (finding, *_) = (f for f in check(dataset).findings if f.rule == "category-one-split")
    assert (finding.severity, message in finding.message) == (severity, True)
    convert(tmp_path)
    assert f"{severity}: {dataset.panoptic}: {message}" in capsys.readouterr().out
    print_split_warnings(open_valid_dataset(tmp_path))  # as `train` does
    assert message in capsys.readouterr().out


def test_nothing_is_said_where_every_split_has_photos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_dataset(tmp_path, {"a": BOX, "b": BOX, "c": BOX, "d": BOX})
    convert(tmp_path)
    assert "the split" not in capsys.readouterr().out


def test_photos_of_test_that_look_like_photos_of_train_are_said_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = draw_dataset(tmp_path, {"a": BOX, "b": BOX, "c": BOX, "d": BOX})  # all look alike
    convert(tmp_path)
    leak = "photos of test that look like photos of train or are copies of them: 2 of 2,"
    message = f"warning: {dataset.panoptic}: {leak}"
    assert message in capsys.readouterr().out
    print_split_warnings(open_valid_dataset(tmp_path))  # as `train` does
    assert message in capsys.readouterr().out


def test_the_reason_why_stuff_is_void_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stuff = "stuff: [sky-other-merged, road]"
    draw_dataset(tmp_path, {"a": BOX, "b": BOX}, yaml=YAML.replace(stuff, "stuff: []"))
    convert(tmp_path)
    printed = capsys.readouterr().out
    assert "; they are void, because" in printed
    assert "stuff that dataset.yaml does not list under stuff (manifest.json" in printed
