"""Photos that are held out of the training split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from base.errors import InputError
from base.parsing import write_json
from conversion.building.group_file import GroupFile, group_file_path
from conversion.coco.panoptic import PanopticSet, Segment
from detr.config import TrainConfig
from detr.data.splits import Splits, hold_out, read_splits
from tests.detr.drawn import CATEGORIES, CIRCLE, SQUARE, draw_set

CONFIG = TrainConfig(tune=0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_set(tmp_path_factory.mktemp("held_out") / "panoptic", train=40, test=2)


@pytest.fixture
def splits(folder: Path) -> Splits:
    group_file_path(folder).unlink(missing_ok=True)
    return read_splits(folder)


def write_groups(folder: Path, groups: list[list[int]]) -> None:
    names = tuple(tuple(f"photo{i}.png" for i in group) for group in groups)
    group_file_path(folder).write_bytes(GroupFile("", names).encode())


def names(panoptic: PanopticSet | None) -> list[str]:
    assert panoptic is not None
    return [photo.file_name for photo in panoptic.photos]


def test_each_photo_is_trained_on_or_held_out(splits: Splits) -> None:
    divided = hold_out(splits, CONFIG)
    assert divided.held_out == "tune" and divided.held_out_set is divided.tune
    assert len(names(divided.tune)) == 4
    assert sorted(names(divided.train) + names(divided.tune)) == sorted(names(splits.train))
    assert divided.test == splits.test
    assert names(hold_out(splits, CONFIG).tune) == names(divided.tune)
    assert names(hold_out(splits, replace(CONFIG, seed=7)).tune) != names(divided.tune)
    tune = divided.examples("tune", CONFIG)
    assert tune.photo_path(tune.panoptic.photos[0]).is_file()


def test_without_tune_the_test_photos_are_measured(splits: Splits) -> None:
    divided = hold_out(splits, TrainConfig())
    assert divided is splits and divided.held_out == "test"


def test_groups_stay_together(splits: Splits, folder: Path) -> None:
    write_groups(folder, [[i, i + 1, 99] for i in range(1, 40, 2)])  # photo99 is in no split
    for seed in range(5):
        divided = hold_out(splits, replace(CONFIG, seed=seed))
        held_out = {int(name[5:-4]) for name in names(divided.tune)}
        assert len(held_out) == 4 == len({(number - 1) // 2 for number in held_out}) * 2


def test_no_photos_are_held_out_if_groups_are_too_large(splits: Splits, folder: Path) -> None:
    for groups in ([[*range(1, 41)]], [[*range(1, 21)], [*range(21, 41)]]):
        write_groups(folder, groups)
        divided = hold_out(splits, CONFIG)
        assert names(divided.tune) == [] and len(names(divided.train)) == 40


@pytest.mark.parametrize(("count", "held_out"), [(19, 0), (20, 2)])
def test_no_photos_are_held_out_of_a_few(splits: Splits, count: int, held_out: int) -> None:
    few = replace(splits, train=replace(splits.train, photos=splits.train.photos[:count]))
    divided = hold_out(few, CONFIG)
    assert len(names(divided.tune)) == held_out
    assert divided.held_out == "tune"  # the test photos are not used instead


def test_a_rare_category_is_not_held_out_whole(splits: Splits) -> None:
    rare = max(c.id for c in CATEGORIES)
    common = CIRCLE if rare == SQUARE else SQUARE

    def only(category_id: int, number: int) -> tuple[Segment, ...]:
        return (Segment(number, category_id, 9, (0, 0, 3, 3)),)

    photos = tuple(
        replace(photo, segments=only(rare if i % 20 == 3 else common, i + 1))
        for i, photo in enumerate(splits.train.photos)
    )
    for seed in range(10):
        train = replace(splits, train=replace(splits.train, photos=photos))
        divided = hold_out(train, replace(CONFIG, seed=seed))
        kept = [s.category_id for photo in divided.train.photos for s in photo.segments]
        assert kept.count(rare) >= 1


def test_a_damaged_file_of_groups_is_named(splits: Splits, folder: Path) -> None:
    write_json(group_file_path(folder), {"groups": "all"})
    with pytest.raises(InputError, match=r"groups\.json: .*groups"):
        hold_out(splits, CONFIG)
    group_file_path(folder).unlink()


def test_the_split_val_selects_epochs_and_no_training_photos_are_held_out(tmp_path: Path) -> None:
    """With test photos or without them; the photos come from the folder of `val`."""
    folder = draw_set(tmp_path / "panoptic", train=20, test=3)
    rename_split(folder, "test", "val")
    for config in (CONFIG, TrainConfig()):
        divided = hold_out(read_splits(folder), config)
        assert len(names(divided.train)) == 20 and len(names(divided.tune)) == 3
        assert names(divided.test) == []
        tune = divided.examples("tune", config)
        assert tune.photo_path(tune.panoptic.photos[0]) == folder / "val" / "photo1.png"
        assert len(tune[0][1].labels)  # the segments of that photo


def test_a_set_without_test_and_val_says_so(tmp_path: Path) -> None:
    folder = draw_set(tmp_path / "panoptic", train=2, test=1)
    rename_split(folder, "test", "dev")
    with pytest.raises(InputError, match=r"expected a split 'test'.*found the splits dev, train"):
        read_splits(folder)


def rename_split(folder: Path, old: str, new: str) -> None:
    annotations = folder / "annotations"
    (annotations / f"panoptic_{old}.json").rename(annotations / f"panoptic_{new}.json")
    (folder / f"panoptic_{old}").rename(folder / f"panoptic_{new}")
    (folder / old).rename(folder / new)
