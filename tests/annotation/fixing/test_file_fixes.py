from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation.dataset import Dataset
from annotation.fixing.backups import confirm_fixes, undo_fixes
from annotation.labelme.annotation import Shape, read_annotation
from conversion.config import open_valid_dataset
from tests.annotation.fixing.fixed import change, contents, drawn, fix, only, rules, shapes_of
from tests.annotation.fixing.test_shape_fixes import FORK
from tests.drawn import YAML, draw_dataset, square


@pytest.mark.parametrize(
    ("size", "points", "done"),
    [
        ((0, 0), (25, 25), True),  # no photo has this size
        ((20, 38), (30, 5), True),  # drawn where a photo of this size has no pixels
        ((20, 38), (5, 5), False),  # may be another photo
        ((30, 40), (25, 25), False),  # swapped
        ((80, 60), (5, 5), False),  # scaled
        ((20, 15), (25, 20), False),  # scaled
    ],
)
def test_the_size_is_fixed_only_if_it_cannot_be_that_of_another_photo(
    tmp_path: Path, size: tuple[int, int], points: tuple[float, float], done: bool
) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("box", *points, 4)]})
    path = change(dataset, imageWidth=size[0], imageHeight=size[1])
    assert only(fix(dataset), "photo-size").done is done
    read = read_annotation(path)
    assert (read.width, read.height) == ((40, 30) if done else size)


def test_the_size_is_fixed_if_the_file_embeds_the_photo(tmp_path: Path) -> None:
    dataset = drawn(tmp_path)
    data = base64.b64encode((tmp_path / "images/a.jpg").read_bytes()).decode()
    change(dataset, imageWidth=30, imageHeight=40, imageData=data)
    assert only(fix(dataset), "photo-size").done
    assert rules(dataset) == []


def test_the_size_is_not_fixed_if_shapes_extend_outside_the_photo(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, square("box", 35, 5, 10))
    change(dataset, imageWidth=0, imageHeight=0)
    assert not any(f.done for f in fix(dataset))


def test_the_path_is_fixed(tmp_path: Path) -> None:
    dataset = drawn(tmp_path)
    change(dataset, imagePath="C:\\old\\A.JPG")
    assert [(f.rule, f.done) for f in fix(dataset)] == [("photo-path-leaves", True)]
    assert read_annotation(dataset.labelme / "a.json").image_path == "../images/a.jpg"
    assert rules(dataset) == []


@pytest.mark.parametrize(
    ("image_path", "done"), [("../images/a.png", True), ("../images/other.jpg", False)]
)
def test_a_photo_found_by_the_name_of_the_annotation_must_have_that_name(
    tmp_path: Path, image_path: str, done: bool
) -> None:
    dataset = drawn(tmp_path)
    change(dataset, imagePath=image_path)
    assert only(fix(dataset), "photo-path").done is done


def test_the_path_is_not_fixed_if_the_photo_is_not_certain(tmp_path: Path) -> None:
    dataset = drawn(tmp_path)
    change(dataset, imagePath="old/a.jpg", imageWidth=39)
    assert not any(f.done for f in fix(dataset))
    change(dataset, imageWidth=40)
    (tmp_path / "images/sub").mkdir()
    cv2.imwrite(str(tmp_path / "images/sub/a.jpg"), np.zeros((30, 40, 3), np.uint8))
    change(dataset, imagePath="sub/a.jpg")
    fixed = next(f for f in fix(dataset) if f.rule == "photo-path")
    assert "several photos" in fixed.what


def test_certain_encodings_and_equal_repeated_keys_are_fixed(tmp_path: Path) -> None:
    dataset = drawn(tmp_path)
    path = dataset.labelme / "a.json"
    text = path.read_text().replace('"imageHeight"', '"imageHeight": 30, "imageHeight"')
    path.write_text(text, "utf-16")
    assert [(f.rule, f.done) for f in fix(dataset)] == [
        ("file-encoding", True),
        ("file-duplicate-keys", True),
    ]
    assert rules(dataset) == []
    assert path.read_bytes().isascii()


def test_nothing_is_written_if_repeated_keys_disagree(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, square("Box", 12, 2, 5))
    path = dataset.labelme / "a.json"
    path.write_text(path.read_text().replace('"imageHeight"', '"imageHeight": 31, "imageHeight"'))
    before = contents(tmp_path)
    fixes = fix(dataset)
    assert len(fixes) == 2 and not any(f.done for f in fixes)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("known", "done"), [("Tür", True), ("door", False)])
def test_code_pages_need_a_known_word(tmp_path: Path, known: str, done: bool) -> None:
    yaml = YAML.replace("[box, disc]", f"[box, {known}]")
    dataset = drawn(tmp_path, replace(square(known, 12, 2, 5), description="größer"), yaml=yaml)
    path = dataset.labelme / "a.json"
    path.write_bytes(path.read_text("utf-8").encode("cp1252"))
    assert only(fix(dataset), "file-encoding").done is done
    if done:
        assert shapes_of(dataset)[1].description == "größer"
        assert rules(dataset) == []


def test_a_known_word_that_is_valid_in_two_code_pages_proves_nothing(tmp_path: Path) -> None:
    """`Tür` is the same in the Western and the central European page; the description is not."""
    yaml = YAML.replace("[box, disc]", "[box, Tür]")
    dataset = drawn(tmp_path, replace(square("Tür", 12, 2, 5), description="señor"), yaml=yaml)
    path = dataset.labelme / "a.json"
    path.write_bytes(path.read_text("utf-8").encode("cp1252"))
    assert not only(fix(dataset), "file-encoding").done


def test_values_that_json_lacks_are_not_lost(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, square("Box", 12, 2, 5), square("box", 20, 2, 5))
    path = dataset.labelme / "a.json"
    data = json.loads(path.read_text())
    data["shapes"][2]["points"][0][0] = float("nan")
    path.write_text(json.dumps(data))
    before = contents(tmp_path)
    assert not any(f.done for f in fix(dataset))
    assert contents(tmp_path) == before


def test_unreadable_shapes_are_written_back_unchanged(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, square("Box", 12, 2, 5))
    path = dataset.labelme / "a.json"
    data = json.loads(path.read_text())
    odd = {"label": 3, "points": "none", "group_id": 5}
    change(dataset, shapes=[*data["shapes"], odd])
    assert any(f.done for f in fix(dataset))
    assert json.loads(path.read_text())["shapes"][-1] == odd


def test_group_ids_of_unreadable_shapes_are_not_used_again(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, Shape("box", FORK))
    path = dataset.labelme / "a.json"
    unreadable = {"label": 3, "points": "none", "group_id": 5}
    change(dataset, shapes=[*json.loads(path.read_text())["shapes"], unreadable])
    assert any(f.done for f in fix(dataset))
    assert [shape.group_id for shape in shapes_of(dataset)[1:3]] == [6, 6]


def embedded_only(root: Path, name: str = "../images/a.jpg") -> Dataset:
    """A set whose only photo is the copy in its Labelme file."""
    dataset = drawn(root)
    photo = root / "images/a.jpg"
    change(dataset, imageData=base64.b64encode(photo.read_bytes()).decode(), imagePath=name)
    photo.unlink()
    return dataset


@pytest.mark.parametrize("name", ["../images/a.jpg", "C:\\old\\a.jpg", "a.gif"])
def test_an_embedded_photo_is_written_out(tmp_path: Path, name: str) -> None:
    expected = (drawn(tmp_path / "other").images / "a.jpg").read_bytes()
    dataset = embedded_only(tmp_path / "set", name)
    fixed = only(fix(dataset), "photo-missing")
    assert (fixed.done, fixed.what) == (True, "the copy of the photo is now images/a.jpg")
    assert (dataset.images / "a.jpg").read_bytes() == expected
    assert rules(open_valid_dataset(dataset.root)) == []


def test_an_embedded_photo_is_written_out_where_there_is_no_folder_of_photos(
    tmp_path: Path,
) -> None:
    embedded_only(tmp_path).images.rmdir()
    dataset = open_valid_dataset(tmp_path)
    assert only(fix(dataset), "photo-missing").done
    assert rules(open_valid_dataset(tmp_path)) == []


def test_undo_deletes_the_photo_that_was_written_out(tmp_path: Path) -> None:
    dataset = embedded_only(tmp_path)
    before = contents(tmp_path)
    fix(dataset)
    assert undo_fixes(dataset).photos == ("images/a.jpg",)
    assert contents(tmp_path) == before


def test_undo_keeps_photos_that_were_changed_or_confirmed(tmp_path: Path) -> None:
    dataset = embedded_only(tmp_path)
    fix(dataset)
    (dataset.images / "a.jpg").write_bytes(b"edited")
    assert undo_fixes(dataset).photos == ()
    assert (dataset.images / "a.jpg").read_bytes() == b"edited"
    (dataset.images / "a.jpg").unlink()
    fix(dataset)
    confirm_fixes(dataset)
    assert undo_fixes(dataset).photos == ()
    kept = ["dataset.yaml", "images/a.jpg", "labelme/a.json", "stuff/a.png"]
    assert sorted(contents(tmp_path)) == kept


def test_a_damaged_copy_is_not_written_out(tmp_path: Path) -> None:
    dataset = embedded_only(tmp_path)
    change(dataset, imageData=base64.b64encode(b"no photo").decode())
    assert not any(one.done for one in fix(dataset))
    assert list(dataset.images.iterdir()) == []
