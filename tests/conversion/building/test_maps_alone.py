"""Sets whose only drawings are label maps: no photo has a Labelme file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from annotation.dataset import Dataset
from annotation.labeling.worklist import read_status
from base.errors import InputError
from conversion.building.build import convert
from conversion.building.check import check
from conversion.coco.panoptic import Photo, split_json
from conversion.coco.panoptic_file import read_panoptic
from conversion.config import open_valid_dataset
from tests.drawn import ROAD, SKY, YAML, draw_dataset, draw_photo, square


def maps_alone(root: Path, yaml: str = YAML) -> Dataset:
    draw_dataset(root, {name: [] for name in ("a", "sub/b", "c")}, yaml=yaml)
    shutil.rmtree(root / "labelme")
    return open_valid_dataset(root)


def photos_of(dataset: Dataset) -> dict[str, Photo]:
    sets = [read_panoptic(split_json(dataset.panoptic, split)) for split in ("train", "test")]
    return {photo.file_name: photo for one in sets for photo in one.photos}


@pytest.mark.parametrize("things", ["[box, disc]", "[]"])
def test_photos_with_label_maps_are_converted(things: str, tmp_path: Path) -> None:
    dataset = maps_alone(tmp_path, YAML.replace("[box, disc]", things))
    assert convert(dataset).left_out == ()
    photos = photos_of(dataset)
    assert photos.keys() == {"a.jpg", "sub/b.jpg", "c.jpg"}
    for photo in photos.values():
        areas = {segment.category_id: segment.area for segment in photo.segments}
        assert areas == {SKY: 10 * 40, ROAD: 18 * 40}
    assert not convert(dataset).fresh


def test_photos_without_a_map_are_left_out(tmp_path: Path) -> None:
    dataset = maps_alone(tmp_path)
    (tmp_path / "stuff/c.png").unlink()
    (tmp_path / "images/a.jpg").write_bytes(b"no photo")
    assert {name: why.split(":")[0] for name, why in convert(dataset).left_out} == {
        "images/a.jpg": "cannot be read as a photo",
        "images/c.jpg": "has neither a Labelme file nor stuff",
    }
    assert photos_of(dataset).keys() == {"sub/b.jpg"}


def test_the_set_is_validated_and_can_be_annotated(tmp_path: Path) -> None:
    dataset = maps_alone(tmp_path)
    found = {one.rule for one in check(dataset, pixels="decode").findings}
    assert found <= {"photo-duplicate", "category-one-split", "split-leak"}
    assert {read_status(dataset, check).state(photo) for photo in dataset.photos()} == {"new"}


def test_with_a_labelme_file_only_annotated_photos_are_converted(tmp_path: Path) -> None:
    dataset = maps_alone(tmp_path)
    convert(dataset)
    draw_photo(tmp_path, "c", [square("box", 2, 2, 5)])
    assert sum(convert(dataset).photos.values()) == 1
    assert len(photos_of(dataset)["c.jpg"].segments) == 3


def test_without_stuff_there_is_nothing_to_convert(tmp_path: Path) -> None:
    dataset = maps_alone(tmp_path, YAML.replace("stuff_sources: [{label_maps: stuff}]\n", ""))
    with pytest.raises(InputError, match="no Labelme files"):
        convert(dataset)
