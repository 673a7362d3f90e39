"""The photos that `predict` finds in folders, single files and patterns."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import InputError
from detr.prediction.sources import PhotoList, find_photos


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.PNG", "a.json", "east/c.jpg", "east/deep/d.jpg", "west/e.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_is_searched_with_its_subfolders(root: Path) -> None:
    names = ("a.jpg", "b.PNG", "east/c.jpg", "east/deep/d.jpg", "west/e.jpg")
    assert find_photos(root) == PhotoList(root, names, (root,))


def test_names_of_several_photos_are_relative_to_their_common_folder(root: Path) -> None:
    assert find_photos(root / "a.jpg") == PhotoList(root, ("a.jpg",))
    assert find_photos(root / "west/e.jpg", root / "b.PNG").names == ("b.PNG", "west/e.jpg")
    found = find_photos(root / "east", root / "west/e.jpg", root / "east/c.jpg")
    assert found == PhotoList(
        root, ("east/c.jpg", "east/deep/d.jpg", "west/e.jpg"), (root / "east",)
    )


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*", ("a.jpg", "b.PNG")),
        ("*.jpg", ("a.jpg",)),
        ("e*/*.jpg", ("c.jpg",)),
        ("**/[cd].jpg", ("c.jpg", "deep/d.jpg")),
    ],
)
def test_patterns_match_photos(root: Path, pattern: str, names: tuple[str, ...]) -> None:
    assert find_photos(root / pattern).names == names


def test_relative_paths_can_leave_the_working_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / "west")
    assert find_photos(Path("e.jpg")) == PhotoList(Path(), ("e.jpg",))
    found = find_photos(Path("e.jpg"), Path("../east/c.jpg"))
    assert found.names == ("east/c.jpg", "west/e.jpg")
    assert all((found.root / name).is_file() for name in found.names)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a.json", r"a\.json: expected a photo \(\.jpg, .*\), found another file"),
        ("none.jpg", r"none\.jpg: expected a photo or a folder of photos, found nothing"),
        ("*.bmp", r"\*\.bmp: no photo matches this pattern"),
        ("empty", "empty: no photos found"),
        ("panoptic", "panoptic: contains maps of segments besides photos; give .*panoptic/test"),
    ],
)
def test_anything_else_is_an_error(root: Path, source: str, message: str) -> None:
    (root / "empty").mkdir()
    (root / "panoptic/annotations").mkdir(parents=True)
    (root / "panoptic/manifest.json").touch()
    with pytest.raises(InputError, match=message):
        find_photos(root / source)
