from __future__ import annotations

import os
from pathlib import Path

import pytest

from annotation.dataset import open_dataset
from annotation.labelme.photo_index import PhotoIndex
from tests.drawn import draw_dataset, square


@pytest.mark.parametrize(
    "image_path",
    [
        "a\0.jpg",
        "x" * 5000,
        pytest.param("x/" * 50_000_000, id="100 MB"),
        "",
        ".",
        "..",
        "/",
        "\\",
        "C:",
        "%",
        "a.jpg\ud800",
    ],
)
def test_unusual_paths_raise_no_errors(tmp_path: Path, image_path: str) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 5)]})
    index = PhotoIndex(dataset, dataset.photos())
    found = index.find(dataset.labelme / "a.json", image_path)
    assert found.how == "stem"  # the photo is found by the name of the annotation file


def test_names_that_are_not_utf8_are_found(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 5)]})
    name = os.fsdecode(b"F\xe9.jpg")  # as old Windows systems name files
    (dataset.images / "a.jpg").rename(dataset.images / name)
    index = PhotoIndex(dataset, dataset.photos())
    found = index.find(dataset.labelme / "a.json", f"../images/{name}")
    assert found.photo == dataset.images / name
    assert found.how == "path"


def test_a_set_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_dataset(tmp_path, {"a/b": [square("box", 2, 2, 5)]})
    monkeypatch.chdir(tmp_path)
    dataset = open_dataset(Path())
    index = PhotoIndex(dataset, dataset.photos())
    found = index.find(Path("labelme/a/b.json"), "../../images/a/b.jpg")
    assert (found.how, found.photo) == ("path", Path("images/a/b.jpg"))


def test_the_nearest_of_several_photos_with_one_name_is_found(tmp_path: Path) -> None:
    box = [square("box", 2, 2, 5)]
    dataset = draw_dataset(tmp_path, {"x/a": box, "y/a": box})
    index = PhotoIndex(dataset, dataset.photos())
    json = dataset.labelme / "other.json"
    assert index.find(json, "old/y/a.jpg").photo == dataset.images / "y/a.jpg"
    assert index.find(json, "old/a.jpg").candidates == tuple(dataset.photos())


def test_names_with_the_same_hash_are_told_apart(tmp_path: Path) -> None:
    names = ("plumless", "buckeroo")  # the CRC-32 of both is the same
    dataset = draw_dataset(tmp_path, {name: [square("box", 2, 2, 5)] for name in names})
    index = PhotoIndex(dataset, dataset.photos())
    for name in names:
        wanted = dataset.images / f"{name}.jpg"
        json = dataset.labelme / f"{name}.json"
        assert index.find(json, f"../images/{name}.jpg").photo == wanted
        assert index.find(json, f"elsewhere/{name}.jpg").photo == wanted
        assert index.find(json, "elsewhere/other.jpg").photo == wanted
