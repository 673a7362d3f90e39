"""Photos are found as other programs name them, and foreign files are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from conversion.importing.importer import import_coco
from tests.conversion.importing.coco_files import (
    TRIANGLE,
    coco,
    image,
    instance,
    notes,
    photo,
    problem,
)


def test_a_foreign_json_does_not_stop_the_import(tmp_path: Path) -> None:
    coco(tmp_path / "s", instance(1, [TRIANGLE]))
    (tmp_path / "s/metrics.json").write_text('{"total_loss": 1.5}\n{"total_loss": 1.2}\n')
    done = import_coco(tmp_path / "s", tmp_path / "set")
    assert len(notes(done, "metrics.json: is not valid JSON")) == 1
    (tmp_path / "s/more.json").write_text('{"images": [], "annotations": [')
    assert "more.json: is not valid JSON" in problem(tmp_path / "s", tmp_path / "other")


@pytest.mark.parametrize(
    ("stored", "place"),
    [
        ("/data/local-files/?d=street/b%20c.jpg", "street/b c.jpg"),
        ("s3://bucket/street/b.jpg", "street/b.jpg"),
        ("C:\\Users\\me\\street\\b.jpg", "street/b.jpg"),
        ("STREET/B.JPG", "street/b.jpg"),
        ("stra\u00dfe/cafe\u0301.jpg", "stra\u00dfe/caf\u00e9.jpg"),
        ("images/street/b.jpg", "data/street/b.jpg"),
        ("b.jpg", "deep/street/b.jpg"),
    ],
)
def test_photos_are_found_below_the_folder(tmp_path: Path, stored: str, place: str) -> None:
    photo(tmp_path / "s" / place)
    source = coco(tmp_path / "s", images=[image(1, stored)])
    (name,) = import_coco(source, tmp_path / "set").splits
    assert (tmp_path / "set/images" / name).is_file()
    assert name in (place, place.removeprefix("data/"))


def test_photos_are_never_taken_from_elsewhere_or_guessed(tmp_path: Path) -> None:
    photo(tmp_path / "outside.jpg")
    source = coco(tmp_path / "s", images=[image(1, "../outside.jpg")])
    assert "photo '../outside.jpg' is missing" in problem(source, tmp_path / "set")
    for folder in ("one", "two"):
        photo(tmp_path / "s" / folder / "b.jpg")
    source = coco(tmp_path / "s", images=[image(1, "three/b.jpg")])
    assert "photo 'three/b.jpg' could be any of 2 files" in problem(source, tmp_path / "set")


def test_the_photos_of_the_new_set_are_not_those_of_the_source(tmp_path: Path) -> None:
    photo(tmp_path / "s/deep/b.jpg")
    source = coco(tmp_path / "s", images=[image(1, "x/b.jpg")])
    for _ in range(2):
        assert list(import_coco(source, tmp_path / "s/set").splits) == ["deep/b.jpg"]
