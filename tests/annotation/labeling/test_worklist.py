from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation.dataset import Dataset
from annotation.labeling.worklist import annotation_paths, read_photo_list, read_status
from annotation.rules.validate import check_dataset
from base.errors import InputError
from tests.drawn import draw_dataset, draw_photo, square

FINE, TYPO, OUTSIDE = square("box", 2, 3, 10), square("bxo", 2, 3, 10), square("box", 2, 3, 50)


def draw(root: Path) -> Dataset:
    dataset = draw_dataset(
        root, {"a": [FINE], "b": [OUTSIDE], "c": [TYPO], "d": [], "sub/d": [], "e": [TYPO]}
    )
    (dataset.labelme / "d.json").unlink()
    (dataset.labelme / "sub/d.json").unlink()
    (dataset.labelme / "e.json").write_text("{")
    return dataset


def names(dataset: Dataset, photos: list[Path]) -> list[str]:
    return [photo.relative_to(dataset.images).as_posix() for photo in photos]


def test_new_photos_first_then_errors_then_warnings(tmp_path: Path) -> None:
    dataset = draw(tmp_path)
    work = read_status(dataset, check_dataset)
    assert names(dataset, work.in_order()) == [
        *("d.jpg", "sub/d.jpg", "c.jpg", "e.jpg", "b.jpg", "a.jpg")
    ]
    left = "photos without annotation: 2 of 6; files with errors: 2, with warnings: 1"
    assert work.left() == f"left: {left}"


def test_all_photos_are_new_without_annotations(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": []})
    (dataset.labelme / "a.json").unlink()
    assert (
        read_status(dataset, check_dataset)
        .left()
        .startswith("left: photos without annotation: 1 of 1; ")
    )


def test_the_status_after_changes(tmp_path: Path) -> None:
    dataset = draw(tmp_path)
    before = read_status(dataset, check_dataset)
    draw_photo(tmp_path, "c", [FINE])
    draw_photo(tmp_path, "d", [TYPO])
    (dataset.labelme / "a.json").unlink()
    after = read_status(dataset, check_dataset)
    changed = [dataset.labelme / f"{name}.json" for name in "acd"]
    found = [(f.file, f.severity) for f in after.findings_on(changed)]
    assert found == [("labelme/d.json", "error")]
    assert "annotation: 2 of 6; files with errors: 2," in after.left()
    assert names(dataset, after.in_order())[:2] == ["a.jpg", "sub/d.jpg"]
    assert "files with errors: 2, with warnings: 1" in before.left()


def test_paths_of_new_annotations(tmp_path: Path) -> None:
    dataset = draw(tmp_path)
    cv2.imwrite(str(dataset.images / "a.png"), np.zeros((30, 40, 3), np.uint8))
    cv2.imwrite(str(dataset.images / "d.PNG"), np.zeros((30, 40, 3), np.uint8))
    found = annotation_paths(dataset, read_status(dataset, check_dataset))
    below = {p.name: path.relative_to(tmp_path).as_posix() for p, path in found.items()}
    assert below["a.jpg"] == "labelme/a.json"
    assert below["a.png"] == "labelme/a.png.json"  # a.json is taken
    assert below["d.PNG"] == "labelme/d.json"
    assert found[dataset.images / "d.jpg"] == dataset.labelme / "d.jpg.json"
    assert found[dataset.images / "sub/d.jpg"] == dataset.labelme / "sub/d.json"


def test_new_annotations_are_beside_the_photos_if_all_others_are(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [FINE], "sub/b": []})
    data = json.loads((dataset.labelme / "a.json").read_text())
    (dataset.images / "a.json").write_text(json.dumps({**data, "imagePath": "a.jpg"}))
    for path in ("a.json", "sub/b.json"):
        (dataset.labelme / path).unlink()
    found = annotation_paths(dataset, read_status(dataset, check_dataset))
    assert [*found.values()] == [dataset.images / "a.json", dataset.images / "sub/b.json"]


def test_a_list_of_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = draw(tmp_path)
    photos = dataset.photos()
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfsub/d.jpg\r\n\r\n a.jpg \nsub/d.jpg")
    assert names(dataset, read_photo_list(path, dataset, photos)) == ["sub/d.jpg", "a.jpg"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"b.jpg\n")))
    assert names(dataset, read_photo_list(Path("-"), dataset, photos)) == ["b.jpg"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a.jpg\nsub/dd.jpg", "line 2: no photo 'sub/dd.jpg' in .*; did you mean 'sub/d.jpg'"),
        (b"\n\n", "lists no photos; expected one path below images/ per line"),
        (b"\xff", "is not valid UTF-8"),
        (None, "cannot be read: No such file"),
    ],
)
def test_lists_without_photos_are_reported(
    tmp_path: Path, data: bytes | None, message: str
) -> None:
    dataset = draw(tmp_path)
    path = tmp_path / "list.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=f"list.txt: {message}"):
        read_photo_list(path, dataset, dataset.photos())


def test_a_list_must_be_a_regular_file(tmp_path: Path) -> None:
    dataset, pipe = draw(tmp_path), tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(InputError, match=f"{path}: cannot be read: is not a regular file"):
            read_photo_list(path, dataset, dataset.photos())
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(InputError, match=r"huge.txt: cannot be read: expected at most 16 MB"):
        read_photo_list(huge, dataset, dataset.photos())
