from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation.dataset import open_dataset
from annotation.intake.propose import propose_config
from annotation.labelme.annotation import Shape, read_annotation, write_annotation
from base.errors import InputError
from conversion.config import ConversionConfig, StuffSource, read_conversion_config
from tests.drawn import draw_photo, square


def labels(**counts: int) -> list[Shape]:
    return [square(label, 2, 2, 5) for label, count in counts.items() for _ in range(count)]


def test_labels_become_things_by_frequency(tmp_path: Path) -> None:
    draw_photo(tmp_path, "a", labels(door=2, window=3, __hole__=1, __ignore__=1), stuff=False)
    (tmp_path / "stuff").rmdir()
    path = draw_photo(tmp_path, "b", labels(window=2), stuff=False)
    path.rename(tmp_path / "images/b.json")  # Labelme saves beside the photo by default
    (tmp_path / "stuff").rmdir()
    config = propose_config(tmp_path)
    assert config.name == tmp_path.name
    assert config.things == ("window", "door")
    assert config.group_by is None
    dataset = open_dataset(tmp_path)
    assert dataset.config == config
    assert read_conversion_config(dataset) == ConversionConfig()
    text = (tmp_path / "dataset.yaml").read_text()
    assert "- window  # 5 shapes\n" in text and "- door  # 2 shapes\n" in text


def test_misspelt_labels_are_listed_with_the_correct_one(tmp_path: Path) -> None:
    counts = {"window": 20, "Window": 8, "windwo": 2, "barrier": 9, "carrier": 8}
    draw_photo(tmp_path, "a", labels(**counts))
    assert propose_config(tmp_path).things == ("window", "barrier", "carrier")
    text = (tmp_path / "dataset.yaml").read_text()
    assert "20 shapes; probably misspelt: 8 'Window'; probably misspelt: 2 'windwo'" in text


def test_the_flags_in_the_files_are_listed(tmp_path: Path) -> None:
    shape = replace(square("door", 2, 2, 5), flags={"occluded": True, "red": False, "a: b": True})
    path = draw_photo(tmp_path, "a", [shape])
    write_annotation(path, replace(read_annotation(path), flags={"night": True}))
    config = propose_config(tmp_path)
    assert config.shape_flags == ("crowd", "occluded", "truncated", "checked", "a: b", "red")
    assert config.photo_flags == ("exclude", "night")
    assert "[crowd, occluded, truncated, checked, " in (tmp_path / "dataset.yaml").read_text()


def test_a_thing_called_hole_is_kept(tmp_path: Path) -> None:
    draw_photo(tmp_path, "a", labels(hole=2, __hole__=1))
    assert propose_config(tmp_path).things == ("hole",)


@pytest.mark.parametrize(
    "label",
    [
        "no",
        "1",
        "a: b",
        "# c",
        "- d",
        "é",
        "{x}",
        "a\nthings: [b]",
        "'\"",
        " x ",
        "\x85y",
        "~",
        "ni\\",
    ],
)
def test_labels_that_yaml_would_misread(tmp_path: Path, label: str) -> None:
    draw_photo(tmp_path, "a", labels(**{label: 3, "window": 9, f"windo{label}": 1}))
    config = propose_config(tmp_path)
    assert config.things[:2] == ("window", label)
    assert open_dataset(tmp_path).config == config


def test_the_suffixes_of_label_maps_may_be_upper_case(tmp_path: Path) -> None:
    draw_photo(tmp_path, "a", labels(box=1), stuff=False)
    (tmp_path / "stuff/a.PNG").touch()
    propose_config(tmp_path)
    conversion = read_conversion_config(open_dataset(tmp_path))
    assert conversion.stuff_sources == (StuffSource("stuff"),)


def test_label_maps_and_groups_are_used(tmp_path: Path) -> None:
    draw_photo(tmp_path, "a", labels(box=1))
    (tmp_path / "photos.csv").write_text("image,scene\na.jpg,1\n")
    config = propose_config(tmp_path)
    assert config.group_by == "photos.csv"
    conversion = read_conversion_config(open_dataset(tmp_path))
    assert conversion.stuff_sources == (StuffSource("stuff"),)
    assert conversion.split.group_by == "photos.csv"
    (tmp_path / "dataset.yaml").unlink()
    (tmp_path / "photos.csv").write_text("name\n")
    assert propose_config(tmp_path).group_by is None


def test_files_that_cannot_be_read_are_skipped(tmp_path: Path) -> None:
    path = draw_photo(tmp_path, "a", labels(box=1))
    (tmp_path / "labelme/b.json").write_text("{")
    (tmp_path / "labelme/c.json").write_text('{"images": []}')
    data = json.loads(path.read_text())
    data["shapes"] += [{"label": "broken", "points": 3}, {"label": "", "points": []}]
    path.write_text(json.dumps(data))
    assert propose_config(tmp_path).things == ("box",)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    draw_photo(tmp_path, "a", labels(box=1))
    (tmp_path / "dataset.yaml").write_text("mine")
    with pytest.raises(InputError, match="never overwritten"):
        propose_config(tmp_path)
    assert (tmp_path / "dataset.yaml").read_text() == "mine"


def test_without_labels_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images/a.jpg"), np.zeros((5, 5, 3), np.uint8))
    with pytest.raises(InputError, match="no labels"):
        propose_config(tmp_path)
    assert not (tmp_path / "dataset.yaml").exists()
