"""Photos of other splits with a twin in train are counted."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from annotation.dataset import Dataset, open_dataset
from conversion.building.build import convert
from conversion.building.check import check
from conversion.building.leaks import Leak, read_leaks, twins
from tests.drawn import YAML, draw_dataset, square

LISTS = "split: {train: 0.5, test: 0.5, lists: {train: train.txt, test: test.txt}}\n"


def noise(path: Path, seed: int, brightness: int = 0) -> None:
    """A photo of random blocks, which looks like no other except those with the same seed."""
    blocks = np.random.default_rng(seed).integers(0, 200, (6, 8, 3), np.uint8) + brightness
    cv2.imwrite(str(path), cv2.resize(blocks.astype(np.uint8), (40, 30), interpolation=0))


def leaking(root: Path) -> Dataset:
    """Four photos for training and four for testing; c looks like a, and d is a copy by name."""
    train, test = ("a", "d_jpg.rf.1", "e", "f"), ("c", "d_jpg.rf.2", "g", "h")
    yaml = YAML[: YAML.index("split:")] + LISTS
    dataset = draw_dataset(
        root, {name: [square("box", 1, 1, 5)] for name in train + test}, yaml=yaml
    )
    for name, seed in zip(
        ("a", "d_jpg.rf.1", "e", "f", "d_jpg.rf.2", "g", "h"), range(7), strict=True
    ):
        noise(dataset.images / f"{name}.jpg", seed)
    noise(dataset.images / "c.jpg", 0, brightness=20)
    for split, names in (("train", train), ("test", test)):
        (root / f"{split}.txt").write_text("".join(f"{name}.jpg\n" for name in names))
    return open_dataset(root)


def test_photos_that_look_like_one_of_train_are_counted(tmp_path: Path) -> None:
    dataset = leaking(tmp_path)
    built = convert(dataset)
    assert built.leaks == (Leak("test", 2, 4, "c.jpg", "a.jpg"),)
    assert (
        "photos of test that look like photos of train or are copies of them: 2 of 4"
        in built.leaks[0].message
    )
    again = convert(dataset)
    assert (again.fresh, again.leaks) == (False, built.leaks)
    assert read_leaks(dataset.panoptic) == built.leaks
    (found,) = [one for one in check(dataset).findings if one.rule == "split-leak"]
    assert (found.severity, found.file, found.message) == (
        "warning",
        "dataset.yaml",
        built.leaks[0].message,
    )


def test_a_set_without_twins_has_no_leaks(tmp_path: Path) -> None:
    dataset = leaking(tmp_path)
    for number, name in enumerate(("c", "d_jpg.rf.2"), start=10):
        noise(dataset.images / f"{name}.jpg", number)
    (tmp_path / "test.txt").write_text("c.jpg\ng.jpg\nh.jpg\n")
    (tmp_path / "train.txt").write_text("d_jpg.rf.2.jpg\nd_jpg.rf.1.jpg\na.jpg\ne.jpg\nf.jpg\n")
    assert convert(dataset).leaks == ()
    assert read_leaks(tmp_path / "not built") == ()


def test_equal_files_are_twins_even_if_they_cannot_be_compared_otherwise() -> None:
    splits = {"a.jpg": "train", "b.jpg": "test", "c.jpg": "val", "d.jpg": "val"}
    digests = {"a.jpg": b"1", "b.jpg": b"1", "c.jpg": b"2", "d.jpg": b"2"}
    assert twins(splits, digests, {}, 8) == {"b.jpg": "a.jpg"}
