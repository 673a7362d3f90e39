from __future__ import annotations

from pathlib import Path

import pytest

from annotation.photos.listing import list_files, list_photos
from base.errors import InputError


def test_photos_are_listed_folder_by_folder_without_other_and_hidden_files(tmp_path: Path) -> None:
    names = ["b.JPG", "a/z.png", "a-b/c.webp", "a/y/x.tiff", "a/notes.txt", "a/._z.png", "c.heic"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    photos = list_photos(tmp_path)
    found = [photo.relative_to(tmp_path).as_posix() for photo in photos]
    assert found == ["a/y/x.tiff", "a/z.png", "a-b/c.webp", "b.JPG"]
    assert list(photos) == sorted(photos)
    assert photos[-1] == tmp_path / "b.JPG" and list(photos[1:3]) == list(photos)[1:3]
    assert list(list_files(".txt", tmp_path / "a", tmp_path / "missing")) == [
        tmp_path / "a/notes.txt"
    ]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"images: expected a folder of photos, found nothing"):
        list_photos(tmp_path / "images")
    (tmp_path / "images").touch()
    with pytest.raises(InputError, match=r"images: expected a folder of photos, found a file"):
        list_photos(tmp_path / "images")
