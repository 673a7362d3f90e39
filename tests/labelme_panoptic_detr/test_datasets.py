"""What a path on the command line stands for."""

from __future__ import annotations

from pathlib import Path

from detr.prediction.sources import find_photos
from labelme_panoptic_detr.datasets import photo_sources
from tests.drawn import YAML, draw_dataset


def test_a_data_set_stands_for_its_photos(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [], "east/b": []})
    (tmp_path / "panoptic/train").mkdir(parents=True)
    (tmp_path / "panoptic/train/a.jpg").touch()  # neither photos that are built nor label maps
    found = find_photos(*photo_sources(tmp_path))
    assert found.root == dataset.images and found.names == ("a.jpg", "east/b.jpg")


def test_a_flat_data_set_stands_for_the_photos_in_its_folder(tmp_path: Path) -> None:
    for name in ("dataset.yaml", "b.jpg", "a.jpg", "panoptic/train/a.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(YAML if name.endswith("yaml") else "")
    found = find_photos(*photo_sources(tmp_path))
    assert found.root == tmp_path and found.names == ("a.jpg", "b.jpg")


def test_any_other_folder_stands_for_itself(tmp_path: Path) -> None:
    assert photo_sources(tmp_path) == [tmp_path]
