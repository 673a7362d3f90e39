"""Which parts a repeated build builds again; the bytes are those of a fresh build."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from base.errors import InputError
from conversion.building.build import convert
from tests.conversion.building.builds import draw, ids_of, photos_of, pngs, shapes, tree
from tests.drawn import YAML, draw_photo, square


def test_one_changed_annotation_is_one_new_png(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 8)
    convert(dataset)
    before = pngs(dataset)
    draw_photo(tmp_path, "p003", [*shapes(3), square("box", 1, 20, 5)])
    built = convert(dataset)
    assert built.fresh
    assert built.segments == 8 * 4 + 1
    after = pngs(dataset)
    assert {name for name in after if after[name] != before[name]} == {"p003.png"}
    fresh = draw(tmp_path / "fresh", 8)
    draw_photo(fresh.root, "p003", [*shapes(3), square("box", 1, 20, 5)])
    convert(fresh)
    assert tree(fresh) == tree(dataset)


def test_changed_stuff_is_detected_and_a_new_file_time_is_ignored(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 4)
    convert(dataset)
    before = pngs(dataset)
    for folder in ("images", "labelme", "stuff"):
        for path in (tmp_path / folder).iterdir():
            path.touch()
    assert not convert(dataset).fresh
    labels = cv2.imread(str(tmp_path / "stuff/p001.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(tmp_path / "stuff/p001.png"), np.flipud(labels))
    assert convert(dataset).fresh
    after = pngs(dataset)
    assert {name for name in after if after[name] != before[name]} == {"p001.png"}


def test_an_edit_of_the_same_size_within_a_clock_tick_is_detected(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 2)
    convert(dataset)
    path = tmp_path / "labelme/p000.json"
    stamp = path.stat()
    path.write_text(path.read_text().replace('"box"', '"xob"').replace('"xob"', '"box"', 0))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert convert(dataset).left_out[0][0] == "labelme/p000.json"


def test_new_photos_move_no_old_photos_and_change_no_ids(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 10, YAML.replace("train: 0.5, test: 0.5", "train: 0.8, test: 0.2"))
    convert(dataset)
    old = {photo: set(photos) for photo, photos in photos_of(dataset).items()}
    before, kept = pngs(dataset), ids_of(dataset)
    for number in range(10, 40):
        draw_photo(tmp_path, f"a{number}", shapes(number))
    assert convert(dataset).photos == {"train": 32, "test": 8}
    assert all(old[split] <= photos for split, photos in photos_of(dataset).items())
    assert {name: pngs(dataset)[name] for name in before} == before
    assert kept.items() <= ids_of(dataset).items()


def test_deleted_photos_leave_no_files_and_return_to_their_split(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 6)
    convert(dataset)
    whole = tree(dataset)
    for folder, end in (("images", "jpg"), ("labelme", "json")):
        (tmp_path / folder / f"p002.{end}").rename(tmp_path / f"away.{end}")
    convert(dataset)
    assert not [name for name in tree(dataset) if "p002" in name]
    (tmp_path / "away.jpg").rename(tmp_path / "images/p002.jpg")
    (tmp_path / "away.json").rename(tmp_path / "labelme/p002.json")
    convert(dataset)
    assert tree(dataset) == whole


def test_a_photo_that_cannot_be_painted_does_not_stop_the_others(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 4)
    cv2.imwrite(str(tmp_path / "stuff/p001.png"), np.zeros((5, 5), np.uint8))
    built = convert(dataset)
    assert sum(built.photos.values()) == 3
    ((file, why),) = built.left_out
    assert file == "labelme/p001.json"
    assert "p001.png" in why
    assert "40x30" in why
    kept = (dataset.panoptic / "manifest.json").stat().st_mtime_ns
    again = convert(dataset)
    assert (again.fresh, again.left_out) == (False, built.left_out)
    assert (dataset.panoptic / "manifest.json").stat().st_mtime_ns == kept
    draw_photo(tmp_path, "p001", shapes(1))
    repaired = convert(dataset)
    assert (sum(repaired.photos.values()), repaired.segments, repaired.left_out) == (4, 16, ())


def test_a_damaged_label_map_excludes_only_its_photo(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 4)
    convert(dataset)
    png = (tmp_path / "stuff/p001.png").read_bytes()
    (tmp_path / "stuff/p001.png").write_bytes(png[:8] + b"\0\0\0\x0c" + png[12:])
    assert [file for file, _ in convert(dataset).left_out] == ["labelme/p001.json"]
    shutil.rmtree(tmp_path / "stuff")
    with pytest.raises(InputError, match="expected a folder of label maps, found none"):
        convert(dataset)


def test_pixels_of_things_or_other_stuff_in_a_source_are_counted(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 2)
    labels = np.full((30, 40), 187, np.uint8)
    # a person, grass, and unlabelled pixels, which are not counted
    labels[:5], labels[5:6], labels[6:7] = 1, 193, 0
    cv2.imwrite(str(tmp_path / "stuff/p000.png"), labels)
    assert convert(dataset).changes == {"stuff_pixels_refused": 6 * 40}
