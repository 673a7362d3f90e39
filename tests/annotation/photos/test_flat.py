"""Folders in which photos and their annotations lie side by side, as Labelme saves them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from annotation.intake.collect import collect
from annotation.labeling.session import open_session
from annotation.labeling.worklist import annotation_paths, read_status
from annotation.labelme.annotation import read_annotation, write_annotation
from annotation.photos.flat import is_flat
from base.errors import InputError
from commands.annotation import validate
from commands.conversion import convert
from conversion.coco.panoptic import split_json
from conversion.coco.panoptic_file import read_panoptic
from labelme_panoptic_detr.datasets import check, open_or_propose
from tests.drawn import draw_photo, square

BOX = square("box", 2, 2, 9)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos a to d, of which d has no annotation, and JSON files of other programs."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a", "b", "c", "d"):
        annotation = draw_photo(tmp_path / "drawn", name, [BOX])
        shutil.copy(tmp_path / f"drawn/images/{name}.jpg", folder)
        if name != "d":
            beside = replace(read_annotation(annotation), image_path=f"{name}.jpg")
            write_annotation(folder / f"{name}.json", beside)
    (folder / "metrics.json").write_text('{"loss": 1}\n{"loss": 2}\n')
    (folder / "coco.json").write_text('{"images": [], "annotations": [], "categories": []}')
    return folder


def test_a_flat_folder_is_validated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    validate(folder)
    assert (
        "proposed from what was found (categories: 1 of things, 0 of stuff)"
        in capsys.readouterr().out
    )
    dataset = open_or_propose(folder)
    assert [path.name for path in dataset.annotations()] == ["a.json", "b.json", "c.json"]
    assert [path.name for path in dataset.photos()] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    found = {(f.rule, f.file) for f in check(dataset).findings if f.file != "dataset.yaml"}
    assert ("photo-orphan", "d.jpg") in found
    assert {rule for rule, _ in found} <= {"photo-orphan", "photo-duplicate"}


def test_a_flat_folder_is_converted_twice(folder: Path) -> None:
    for _ in range(2):  # the second time, panoptic/ contains links to the photos and JSON files
        convert(folder)
        dataset = open_or_propose(folder)
        sets = [read_panoptic(split_json(dataset.panoptic, split)) for split in ("train", "test")]
        photos = [photo for one in sets for photo in one.photos]
        assert sorted(photo.file_name for photo in photos) == ["a.jpg", "b.jpg", "c.jpg"]
        assert all(segment.area == 81 for photo in photos for segment in photo.segments)
    links = [*(dataset.panoptic / "train").iterdir(), *(dataset.panoptic / "test").iterdir()]
    assert len(links) == 3
    assert all(link.is_file() for link in links)


def test_new_annotations_lie_beside_the_photos(folder: Path) -> None:
    dataset = open_or_propose(folder)
    status = read_status(dataset, check)
    paths = annotation_paths(dataset, status)
    assert paths[folder / "d.jpg"] == folder / "d.json"
    photo = folder / "d.jpg"
    with open_session(dataset, [(photo, paths[photo], status.state(photo))]) as session:
        assert (session.folder / "1-new/d.jpg").samefile(photo)
    assert not (folder / "labelme").exists()


def test_a_folder_of_annotations_that_contain_their_photos_is_flat(folder: Path) -> None:
    for path in folder.glob("*.jpg"):
        path.unlink()
    assert is_flat(folder)
    for path in folder.glob("[abc].json"):
        path.unlink()
    assert not is_flat(folder)  # coco.json and metrics.json are not annotations


def test_a_folder_with_images_is_not_flat(folder: Path) -> None:
    (folder / "images").mkdir()
    assert not is_flat(folder)


def test_photos_are_not_collected_into_a_flat_folder(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lie in the folder itself; move them to"):
        collect([tmp_path / "drawn/images"], folder)
    assert not (folder / "images").exists()
