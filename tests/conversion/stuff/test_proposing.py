"""The stuff of a proposed `dataset.yaml` is what the label maps show."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from conversion.stuff.proposing import find_stuff
from labelme_panoptic_detr.datasets import open_or_propose
from tests.drawn import draw_photo, square


def test_stuff_in_label_maps_is_proposed_unless_it_is_a_label(tmp_path: Path) -> None:
    draw_photo(tmp_path, "a", [square("car", 2, 2, 5)])
    draw_photo(tmp_path, "b/c", [square("road", 2, 2, 5)])
    assert open_or_propose(tmp_path).config.stuff == ("sky-other-merged",)  # `road` is a label
    assert "- sky-other-merged  # 33.3% of all pixels\n" in (tmp_path / "dataset.yaml").read_text()


def test_the_most_frequent_stuff_comes_first(tmp_path: Path) -> None:
    draw_photo(tmp_path, "a", [])
    assert find_stuff(tmp_path / "stuff") == [("road", 18 / 30), ("sky-other-merged", 10 / 30)]


def test_values_that_may_mean_anything_are_not_guessed(tmp_path: Path) -> None:
    draw_photo(tmp_path, "a", [])
    for pixels in (np.full((3, 3), 210, np.uint8), np.zeros((3, 3, 3), np.uint8)):
        cv2.imwrite(str(tmp_path / "stuff/other.png"), pixels)
        assert find_stuff(tmp_path / "stuff") == []
    assert find_stuff(tmp_path / "missing") == []
