"""Files from elsewhere that would hang `evaluate`, or take its memory: one line each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from base.errors import InputError
from conversion.coco.png import read_segment_ids
from conversion.coco.results import INSTANCES
from evaluation.scores.scores import evaluate_files
from tests.detr.drawn import draw_set


def _pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _bomb(path: Path) -> None:
    """Let the header claim 100,000 x 100,000 pixels, which take 30 GB when decoded."""
    data = bytearray(path.read_bytes())
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    path.write_bytes(data)


def _nested(path: Path) -> None:
    path.write_bytes(b"[" * 1_000_000)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("panoptic_test/photo1.png", _pipe, "is not a regular file"),
        ("panoptic_test/photo1.png", _bomb, "expected 96x64 pixels.* found 100000x100000"),
        ("annotations/panoptic_test.json", _pipe, "is not a regular file"),
        ("annotations/panoptic_test.json", _nested, "is not valid JSON"),
        (f"annotations/{INSTANCES}", _nested, "is not valid JSON"),
    ],
)
def test_a_hostile_file_is_refused_in_one_line(
    name: str, damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    folder = draw_set(tmp_path / "panoptic", train=1, test=1)
    path = folder / name
    damage(path)
    truth = folder / "annotations" / "panoptic_test.json"
    with pytest.raises(InputError, match=message) as error:
        evaluate_files(truth, truth)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def _claim(folder: Path, *, images: bool) -> None:
    """Let the JSON claim the same size as the PNG of `_bomb`, or leave the sizes to the PNG."""
    path = folder / "annotations/panoptic_test.json"
    data = json.loads(path.read_bytes())
    data["images"][0].update(width=100_000, height=100_000)
    path.write_text(json.dumps({n: v for n, v in data.items() if images or n != "images"}))


@pytest.mark.parametrize("images", [True, False])
def test_a_size_that_the_json_claims_too_is_refused(images: bool, tmp_path: Path) -> None:
    folder = draw_set(tmp_path / "panoptic", train=1, test=1)
    _bomb(folder / "panoptic_test/photo1.png")
    _claim(folder, images=images)
    truth = folder / "annotations/panoptic_test.json"
    with pytest.raises(InputError, match=r"json: image \d+ .*: expected at most [\d,]+ pixels"):
        evaluate_files(truth, truth)
    with pytest.raises(InputError, match=r"png: expected at most [\d,]+ pixels"):
        read_segment_ids(folder / "panoptic_test/photo1.png", (100_000, 100_000))


def test_a_size_is_checked_before_pixels_are_decoded(tmp_path: Path) -> None:
    path = draw_set(tmp_path / "panoptic", train=1, test=0) / "panoptic_train" / "photo1.png"
    _bomb(path)
    with pytest.raises(InputError, match="found 100000x100000"):
        read_segment_ids(path, (64, 96))
