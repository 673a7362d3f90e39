"""Photos of every usual split are loaded."""

from __future__ import annotations

from pathlib import Path

from conversion.building.build import convert
from curation.loading.entries import read_splits
from tests.drawn import YAML, draw_dataset, square


def test_validation_photos_are_loaded_too(tmp_path: Path) -> None:
    yaml = YAML.replace("train: 0.5, test: 0.5", "train: 0.4, val: 0.2, test: 0.4")
    photos = {f"p{number}": [square("box", 1, 1, 5)] for number in range(5)}
    dataset = draw_dataset(tmp_path, photos, yaml=yaml)
    convert(dataset)
    loaded = {name: len(panoptic.photos) for name, panoptic in read_splits(dataset).items()}
    assert loaded == {"train": 2, "val": 1, "test": 2}
