from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import InputError
from conversion.building.build import convert
from conversion.coco.panoptic import find_split_jsons, split_json
from conversion.coco.panoptic_file import read_panoptic
from conversion.config import open_valid_dataset
from conversion.folding.folds import fold_folders, write_folds
from conversion.folding.joining import join_predictions
from tests.drawn import draw_dataset, draw_photo, square


def test_every_photo_is_tested_once_and_keeps_its_labels(tmp_path: Path) -> None:
    photos = {f"{n}/p{n}": [square("box", n, 4, 10)] for n in range(8)}
    dataset = draw_dataset(tmp_path / "set", photos)
    (dataset.root / "photos.csv").write_text("image,group\n0/p0.jpg,x\n1/p1.jpg,x\n")
    yaml = dataset.root / "dataset.yaml"
    yaml.write_text(yaml.read_text().replace("seed: 0}", "seed: 0, group_by: photos.csv}"))
    dataset = open_valid_dataset(dataset.root)
    convert(dataset)
    out = tmp_path / "folds"
    write_folds(dataset, out, 3)
    tested: list[str] = []
    for folder in fold_folders(out, 3):
        opened = open_valid_dataset(folder)
        train, test = (read_panoptic(split_json(opened.panoptic, s)) for s in ("train", "test"))
        names = {photo.file_name for photo in test.photos}
        assert names.isdisjoint(photo.file_name for photo in train.photos)
        assert len(test.photos) + len(train.photos) == 8
        assert len(names & {"0/p0.jpg", "1/p1.jpg"}) in (0, 2)  # one group
        for photo in test.photos:
            assert (opened.panoptic / "test" / photo.file_name).is_file()
            ids = set(test.segment_ids(photo).ravel().tolist()) - {0}
            assert ids == {segment.id for segment in photo.segments}
        tested += names
    assert sorted(tested) == sorted(f"{name}.jpg" for name in photos)

    draw_photo(
        dataset.root, "7/p7", []
    )  # corrected later; a training that continues is not confused
    convert(dataset)
    write_folds(dataset, out, 3)
    sets = [read_panoptic(split_json(f / "panoptic", "test")) for f in fold_folders(out, 3)]
    (photo, one) = next((p, s) for s in sets for p in s.photos if p.file_name == "7/p7.jpg")
    assert len(set(one.segment_ids(photo).ravel().tolist()) - {0}) == len(photo.segments) == 3
    with pytest.raises(InputError, match="expected 2 folds, found 3; use another --out"):
        write_folds(dataset, out, 2)


def test_predictions_of_all_folds_are_joined(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path / "set", {n: [square("box", 3, 4, 10)] for n in "abcd"})
    convert(dataset)
    folders = []
    for split, path in find_split_jsons(dataset.panoptic).items():
        folder = tmp_path / split
        folder.mkdir()
        (folder / "panoptic.json").write_bytes(path.read_bytes())
        (folder / "panoptic").symlink_to(dataset.panoptic / f"panoptic_{split}")
        folders.append(folder)
    joined = read_panoptic(join_predictions(folders, tmp_path / "joined"))
    assert [photo.file_name for photo in joined.photos] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    for photo in joined.photos:
        ids = set(joined.segment_ids(photo).ravel().tolist()) - {0}
        assert ids == {segment.id for segment in photo.segments}


def test_too_few_photos_or_no_built_set_are_reported(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path / "set", {n: [square("box", 3, 4, 10)] for n in "abc"})
    with pytest.raises(InputError, match="missing or incomplete; build it with"):
        write_folds(dataset, tmp_path / "folds", 2)
    convert(dataset)
    with pytest.raises(InputError, match="expected at least 4 groups of photos for 2 folds"):
        write_folds(dataset, tmp_path / "folds", 2)
