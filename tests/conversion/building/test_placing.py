"""Where built files are placed, and which other files are kept."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation.dataset import open_dataset
from base.errors import InputError
from conversion.building.build import convert
from tests.conversion.building.builds import SPLITS, draw, photos_of, pngs, shapes
from tests.drawn import YAML, draw_dataset, draw_photo, square

KINDS = ("panoptic", "instances")


def test_another_split_moves_pngs_and_leaves_no_old_files(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 10)
    convert(dataset)
    before = pngs(dataset)
    yaml = YAML.replace("train: 0.5, test: 0.5", "train: 0.6, val: 0.4")
    (tmp_path / "dataset.yaml").write_text(yaml)
    dataset = open_dataset(tmp_path)
    assert convert(dataset).photos == {"train": 6, "val": 4}
    assert pngs(dataset) == before  # moved, not painted again
    assert {path.name for path in dataset.panoptic.iterdir()} == {
        *("annotations", "groups.json", "manifest.json", "split.json"),
        *("panoptic_train", "panoptic_val", "train", "val"),
    }
    assert len(list((dataset.panoptic / "annotations").iterdir())) == 4


@pytest.mark.skipif(os.sep == "\\", reason="on Windows, a backslash separates folders")
@pytest.mark.parametrize(
    ("name", "reason"),
    [("a\\b.jpg", "expected no backslash in the name"), (f"{'n' * 249}.jpeg", "is too long")],
)
def test_photo_names_that_no_png_can_have(tmp_path: Path, name: str, reason: str) -> None:
    dataset = draw(tmp_path, 2)
    photo = (dataset.images / "p000.jpg").read_bytes()
    (dataset.images / name).write_bytes(photo)
    text = (dataset.labelme / "p000.json").read_text()
    strange = json.dumps(f"../images/{name}")
    (dataset.labelme / "strange.json").write_text(text.replace('"../images/p000.jpg"', strange))
    if reason == "is too long":  # so that the usual names of both PNGs clash
        (dataset.images / f"{'n' * 249}.jpg").write_bytes(photo)
        other = text.replace("p000.jpg", f"{'n' * 249}.jpg")
        (dataset.labelme / "other.json").write_text(other)
    built = convert(dataset)
    assert sum(built.photos.values()) == 2
    assert all(reason in why for _, why in built.left_out)
    assert "labelme/strange.json" in dict(built.left_out)
    assert not convert(dataset).fresh


def test_a_set_behind_a_link(tmp_path: Path) -> None:
    """`..` in a link is relative to the real location of the link."""
    dataset = draw(tmp_path / "set", 4)
    elsewhere = tmp_path / "large/disk/here"
    elsewhere.mkdir(parents=True)
    dataset.panoptic.symlink_to(elsewhere)
    convert(dataset)
    photos = [*elsewhere.glob("train/*.jpg"), *elsewhere.glob("test/*.jpg")]
    assert len(photos) == 4
    assert all(path.is_file() for path in photos)
    (tmp_path / "other").symlink_to(tmp_path / "set")
    assert not convert(open_dataset(tmp_path / "other")).fresh


def test_the_manifest_says_what_was_built_from_what(tmp_path: Path) -> None:
    yaml = YAML + "least_visible: 0.5\nslivers: {area: 30}\n"
    drawn = {"a": [square("box", 2, 2, 5), square("disc", 3, 2, 6)], "b": shapes(1)}
    dataset = draw_dataset(tmp_path, drawn, yaml=yaml)
    built = convert(dataset)
    manifest = json.loads((dataset.panoptic / "manifest.json").read_text())
    assert manifest["result"]["photos"] == {"train": 1, "test": 1}
    assert manifest["result"]["changes"] == built.changes == {"dropped": 1, "dropped_pixels": 5}
    assert manifest["photos"]["a.jpg"]["changes"] == {"dropped": [0], "dropped_pixels": 5}
    assert manifest["photos"]["b.jpg"]["changes"] == {}
    assert {len(manifest["photos"]["a.jpg"][k]) for k in ("annotation", "photo", "stuff")} == {64}
    assert set(manifest["files"]) == {f"annotations/{k}_{s}.json" for k in KINDS for s in SPLITS}


def test_links_in_place_of_folders_are_refused_before_anything_is_removed(
    tmp_path: Path,
) -> None:
    dataset = draw(tmp_path, 4)
    photos = {path.name: path.read_bytes() for path in dataset.images.iterdir()}
    for name, target in (("train", "../images"), ("panoptic_train", "../images")):
        dataset.panoptic.mkdir(exist_ok=True)
        (dataset.panoptic / name).symlink_to(target)
        with pytest.raises(InputError, match=f"panoptic/{name}: .*found a link"):
            convert(dataset)
        (dataset.panoptic / name).unlink()
    assert {path.name: path.read_bytes() for path in dataset.images.iterdir()} == photos


def test_files_that_others_add_are_left_alone(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 4)
    convert(dataset)
    for name in ("panoptic_mine/a.png", "mine/keep.txt", "panoptic_notes.txt"):
        (dataset.panoptic / name).parent.mkdir(exist_ok=True)
        (dataset.panoptic / name).write_text("mine")
    draw_photo(tmp_path, "new", shapes(1))
    convert(dataset)
    assert (dataset.panoptic / "mine/keep.txt").read_text() == "mine"
    assert (dataset.panoptic / "panoptic_mine/a.png").read_text() == "mine"


def test_a_new_rule_is_remembered_even_if_it_changes_nothing(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 6)
    convert(dataset)
    assigned = {photo: split for split, photos in photos_of(dataset).items() for photo in photos}
    yaml = YAML.replace("seed: 0", "seed: 0, group_pattern: '^(x)'")
    (tmp_path / "dataset.yaml").write_text(yaml)
    dataset = open_dataset(tmp_path)
    convert(dataset)
    for number in range(3):
        draw_photo(tmp_path, f"new{number}", shapes(number))
    convert(dataset)
    after = {photo: split for split, photos in photos_of(dataset).items() for photo in photos}
    again = {photo: split for photo, split in after.items() if photo in assigned}
    first = json.loads((dataset.panoptic / "split.json").read_text())["rule"]
    assert first["group_pattern"] == "^(x)"
    assert again == assigned


@pytest.mark.parametrize(
    ("old", "new", "built"),
    [
        ("train: 0.5, test: 0.5", "train: 0.5, test: 0.5, val: 0", "panoptic_val.json"),
        ("name: drawn", "name: other", "panoptic_test.json"),
    ],
)
def test_a_new_name_or_empty_split_is_detected(
    tmp_path: Path, old: str, new: str, built: str
) -> None:
    dataset = draw(tmp_path, 4)
    convert(dataset)
    before = pngs(dataset)
    (tmp_path / "dataset.yaml").write_text(YAML.replace(old, new))
    dataset = open_dataset(tmp_path)
    assert convert(dataset).fresh
    assert pngs(dataset) == before
    text = json.loads((dataset.panoptic / "annotations" / built).read_text())
    assert text["info"]["description"] == dataset.config.name


def test_a_new_group_across_splits_moves_into_one_split(tmp_path: Path) -> None:
    yaml = YAML.replace("seed: 0", "seed: 0, group_by: photos.csv")
    (tmp_path / "photos.csv").write_text("image,group\n")
    dataset = draw(tmp_path, 6, yaml)
    convert(dataset)
    before = photos_of(dataset)
    pair = (sorted(before["train"])[0], sorted(before["test"])[0])
    (tmp_path / "photos.csv").write_text("image,group\n" + "".join(f"{p},x\n" for p in pair))
    assert convert(dataset).fresh
    assert any(set(pair) <= photos for photos in photos_of(dataset).values())
    (tmp_path / "photos.csv").write_text("image\n")
    with pytest.raises(InputError, match=r"photos\.csv: expected the columns"):
        convert(dataset)
    assert (dataset.panoptic / "manifest.json").is_file()  # no work has begun


def test_names_that_clash_as_pngs(tmp_path: Path) -> None:
    """a.jpg and a.png would both become a.png, and a.jpg.png is also the PNG of a.jpg.jpg."""
    dataset = draw_dataset(tmp_path, {"a": shapes(1), "a.jpg": shapes(2)})
    cv2.imwrite(str(tmp_path / "images/a.png"), np.zeros((30, 40, 3), np.uint8))
    text = (tmp_path / "labelme/a.json").read_text().replace("a.jpg", "a.png")
    (tmp_path / "labelme/other.json").write_text(text)
    maps = tmp_path / "stuff"
    (maps / "a.jpg.png").rename(maps / "a.jpg.jpg.png")
    (maps / "a.jpg.png").write_bytes((maps / "a.png").read_bytes())
    assert sum(convert(dataset).photos.values()) == 3
    assert len(pngs(dataset)) == 3
