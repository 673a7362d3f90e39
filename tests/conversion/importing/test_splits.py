"""The splits of a source are kept, and copies stay together; the order of painting is proposed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from annotation.dataset import open_dataset
from conversion.building.build import convert
from conversion.config import read_conversion_config
from conversion.importing.importer import import_coco
from tests.conversion.importing.coco_files import (
    PANOPTIC,
    TRIANGLE,
    coco,
    image,
    instance,
    notes,
    panoptic,
    photo,
    segment,
    write,
)


def roboflow(root: Path, **photos: list[str]) -> Path:
    """A folder with a file for each split, whose photos differ."""
    for number, (split, names) in enumerate(photos.items()):
        for grey, name in enumerate(names):
            photo(root / split / name, grey=60 * number + 10 * grey)
        images = [image(place, name) for place, name in enumerate(names)]
        annotations = [instance(1, [TRIANGLE], image_id=0)]
        value = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 1, "name": "a"}],
        }
        write(root / split / "_annotations.coco.json", value)
    return root


COPIES = ["a_jpg.rf.01.jpg", "a_jpg.rf.02.jpg"]


def test_the_splits_of_the_source_are_kept(tmp_path: Path) -> None:
    source = roboflow(
        tmp_path / "s", train=COPIES, valid=["b_jpg.rf.03.jpg"], test=["c_jpg.rf.04.jpg"]
    )
    done = import_coco(source, tmp_path / "set")
    split = read_conversion_config(open_dataset(tmp_path / "set")).split
    assert split.shares == {"train": 0.5, "val": 0.25, "test": 0.25}
    assert split.group_pattern == r"([^/]+)\.rf\.[^/.]+\.\w+$"
    assert convert(open_dataset(tmp_path / "set")).photos == {"train": 2, "val": 1, "test": 1}
    assert (tmp_path / "set/splits/test.txt").read_text() == "c_jpg.rf.04.jpg\n"
    assert len(notes(done, "splits of the source are kept (split.lists): 2 train, 1 val, 1 t")) == 1


def test_validation_photos_are_the_test_split_if_there_is_no_other(tmp_path: Path) -> None:
    source = roboflow(tmp_path / "s", train=["a.jpg"], valid=["b.jpg"])
    done = import_coco(source, tmp_path / "set")
    assert convert(open_dataset(tmp_path / "set")).photos == {"train": 1, "test": 1}
    assert len(notes(done, "validation photos of the source become the split test")) == 1


def test_copies_in_several_splits_of_the_source_are_a_warning(tmp_path: Path) -> None:
    source = roboflow(tmp_path / "s", train=COPIES[:1], test=COPIES[1:])
    done = import_coco(source, tmp_path / "set")
    assert len(notes(done, "copies of training photos in other splits: 1 of test")) == 1
    (leak,) = convert(open_dataset(tmp_path / "set")).leaks
    assert (leak.split, leak.photos) == ("test", 1)


def test_copies_in_one_split_stay_together_when_the_set_is_divided(tmp_path: Path) -> None:
    done = import_coco(roboflow(tmp_path / "s", train=COPIES), tmp_path / "set")
    split = read_conversion_config(open_dataset(tmp_path / "set")).split
    assert (split.lists, split.group_pattern is None) == ({}, False)
    assert sorted(convert(open_dataset(tmp_path / "set")).photos.values()) == [0, 2]
    assert len(notes(done, "they stay in one split")) == 1


def test_an_existing_configuration_without_lists_is_said(tmp_path: Path) -> None:
    import_coco(coco(tmp_path / "first", instance(1, [TRIANGLE])), tmp_path / "set")
    source = roboflow(tmp_path / "s", train=["b.jpg"], test=["c.jpg"])
    text = (tmp_path / "set/dataset.yaml").read_text().replace("- box", "- box\n- a")
    (tmp_path / "set/dataset.yaml").write_text(text)
    done = import_coco(source, tmp_path / "set")
    assert len(notes(done, "has no split.lists, so the splits of the source are not kept")) == 1


def test_instances_are_painted_smaller_on_top_and_the_reason_is_written(tmp_path: Path) -> None:
    done = import_coco(coco(tmp_path / "s", instance(1, [TRIANGLE])), tmp_path / "set")
    text = (tmp_path / "set/dataset.yaml").read_text()
    assert "painting: smaller-on-top  # COCO has no drawing order" in text
    assert len(notes(done, "painting: smaller-on-top, because")) == 1
    source = panoptic(tmp_path / "p", np.full((30, 40), 2), [segment(2, 5)], PANOPTIC[:3])
    import_coco(source, tmp_path / "segments")
    assert "painting" not in (tmp_path / "segments/dataset.yaml").read_text()
