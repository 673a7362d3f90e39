"""Photos of every usual split are loaded."""

from __future__ import annotations

from pathlib import Path

from conversion.building.build import convert
from conversion.building.check import check
from curation.loading.entries import EXCLUDED, list_entries, read_splits
from tests.drawn import YAML, draw_dataset, square


def test_validation_photos_are_loaded_too(tmp_path: Path) -> None:
    yaml = YAML.replace("train: 0.5, test: 0.5", "train: 0.4, val: 0.2, test: 0.4")
    photos = {f"p{number}": [square("box", 1, 1, 5)] for number in range(5)}
    dataset = draw_dataset(tmp_path, photos, yaml=yaml)
    convert(dataset)
    loaded = {name: len(panoptic.photos) for name, panoptic in read_splits(dataset).items()}
    assert loaded == {"train": 2, "val": 1, "test": 2}


def test_photos_without_annotation_that_were_excluded_are_listed(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {name: [square("box", 1, 1, 5)] for name in "abc"})
    (dataset.labelme / "a.json").unlink()
    (dataset.root / "curation.yaml").write_text("exclude: [a.jpg, gone.jpg]")
    convert(dataset)
    entries = list_entries(dataset, read_splits(dataset), check(dataset), ("a.jpg", "gone.jpg"))
    assert [entry.name for entry in entries] == ["a.jpg", "b.jpg", "c.jpg"]
    assert entries[0].tags[0] == EXCLUDED
