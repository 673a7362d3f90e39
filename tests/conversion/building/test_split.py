from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from annotation.dataset import Dataset, open_dataset
from base.errors import InputError
from conversion.building.assignment import assign_splits
from conversion.building.build import convert
from conversion.building.check import check
from conversion.building.groups import group_photos
from conversion.building.split import split_photos
from tests.drawn import YAML, draw_dataset, draw_photo, square

SPLIT = "split: {train: 0.5, test: 0.5, seed: 0}"


def set_of(root: Path, names: list[str], split: str = SPLIT) -> Dataset:
    return draw_dataset(root, dict.fromkeys(names, ()), yaml=YAML.replace(SPLIT, split))


def split_of(
    dataset: Dataset, before: dict[str, str] | None = None, hashes: dict[str, int] | None = None
) -> dict[str, str]:
    counts = {path.name: {1: 1} for path in dataset.photos()}
    groups = group_photos(dataset, sorted(counts), hashes or {}, before or {})
    return split_photos(dataset, counts, groups, before or {})


def test_groups_of_the_csv_stay_together(tmp_path: Path) -> None:
    yaml = "split: {train: 0.8, test: 0.2, group_by: photos.csv}"
    dataset = set_of(tmp_path, [f"p{i:02}" for i in range(30)], yaml)
    rows = [f"p{i:02}.jpg,source{i // 3}" for i in range(30)]
    (tmp_path / "photos.csv").write_text("\n".join(["image,photo", *rows]))
    split = split_of(dataset)
    assert Counter(split.values()) == {"train": 24, "test": 6}
    for i in range(0, 30, 3):
        assert len({split[f"p{j:02}.jpg"] for j in range(i, i + 3)}) == 1
    assert split_of(dataset) == split


def test_any_names_and_shares(tmp_path: Path) -> None:
    split = "split: {train: 0.7, val: 0.1, test-2: 0.2}"
    dataset = set_of(tmp_path, [f"p{i:02}" for i in range(20)], split)
    assert Counter(split_of(dataset).values()) == {"train": 14, "val": 2, "test-2": 4}


def test_a_pattern_on_the_name(tmp_path: Path) -> None:
    split = "split: {train: 0.5, test: 0.5, group_pattern: '^(.*)_'}"
    names = [f"{place}_{i}" for place in ("yard", "road", "hall", "shed") for i in range(4)]
    split_by_name = split_of(set_of(tmp_path, names, split))
    for place in ("yard", "road", "hall", "shed"):
        assert len({split_by_name[f"{place}_{i}.jpg"] for i in range(4)}) == 1
    assert Counter(split_by_name.values()) == {"train": 8, "test": 8}


def test_csv_and_pattern_join_each_others_groups(tmp_path: Path) -> None:
    split = "split: {train: 0.5, test: 0.5, group_pattern: '^(.*)_', group_by: photos.csv}"
    dataset = set_of(tmp_path, ["a_1", "a_2", "b_1", "b_2", "c_1", "d_1", "e_1"], split)
    (tmp_path / "photos.csv").write_text("image,group\na_2.jpg,x\nb_1.jpg,x\n")
    found = split_of(dataset)
    assert len({found[f"{name}.jpg"] for name in ("a_1", "a_2", "b_1", "b_2")}) == 1


def test_near_duplicates_stay_together_and_never_move_old_photos(tmp_path: Path) -> None:
    split = "split: {train: 0.5, test: 0.5, near_duplicates: true}"
    dataset = set_of(tmp_path, ["a", "b", "c", "d"], split)
    hashes = {"a.jpg": 0b111, "b.jpg": 0b110, "c.jpg": 2**64 - 1, "d.jpg": 2**63}
    found = split_of(dataset, hashes=hashes)
    assert found["a.jpg"] == found["b.jpg"] == found["d.jpg"]
    before = {"a.jpg": "train", "c.jpg": "test", "d.jpg": "test"}
    found = split_of(dataset, before, hashes)  # b resembles a and d
    assert before.items() <= found.items()
    for seed in range(20):  # real photos, decoded
        rng = np.random.default_rng(seed)
        draw_photo(tmp_path, f"n{seed}", [])
        noise = rng.integers(0, 255, (4, 5, 3), dtype=np.uint8)
        for copy in ("x", "y"):
            cv2_write(tmp_path / f"images/{copy}{seed}.png", noise)
            (tmp_path / f"labelme/{copy}{seed}.json").write_text(
                (tmp_path / f"labelme/n{seed}.json")
                .read_text()
                .replace(f"n{seed}.jpg", f"{copy}{seed}.png")
            )
    convert(dataset)
    test = {path.stem for path in (dataset.panoptic / "test").iterdir()}
    train = {path.stem for path in (dataset.panoptic / "train").iterdir()}
    assert {name[1:] for name in test if name[0] in "xy"}.isdisjoint(
        name[1:] for name in train if name[0] in "xy"
    )


def cv2_write(path: Path, small: np.ndarray) -> None:
    import cv2

    cv2.imwrite(str(path), cv2.resize(small, (40, 30), interpolation=cv2.INTER_CUBIC))


def test_lists_pin_photos_and_their_groups(tmp_path: Path) -> None:
    split = "split: {train: 0.5, test: 0.5, group_pattern: '^(.)', lists: {test: t.txt}}"
    dataset = set_of(tmp_path, ["a1", "a2", "b1", "c1", "d1"], split)
    (tmp_path / "t.txt").write_text("a1.jpg\n\n b1.jpg\n")
    found = split_of(dataset, before={"a1.jpg": "train", "a2.jpg": "train"})
    assert [found[f"{name}.jpg"] for name in ("a1", "a2", "b1")] == ["test"] * 3


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"t.txt": "a1.jpg\nx.jpg"}, r"t\.txt: line 2: expected a photo .*, found 'x\.jpg'"),
        ({"t.txt": "../a1.jpg"}, r"t\.txt: path must stay in"),
        ({"t.txt": "a1.jpg", "r.txt": "a1.jpg"}, r"r\.txt: line 1: .* is also in the list of test"),
        ({"t.txt": "a1.jpg", "r.txt": "a2.jpg"}, r"a[12]\.jpg belongs to .* in one group"),
        ({}, r"t\.txt: cannot be read as a list"),
    ],
)
def test_wrong_lists(tmp_path: Path, lists: dict[str, str], message: str) -> None:
    split = "split: {train: 0.5, test: 0.5, group_pattern: '^(.)', lists: {test: t.txt"
    split += ", train: r.txt}}" if "r.txt" in lists else "}}"
    dataset = set_of(tmp_path, ["a1", "a2"], split)
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        split_of(dataset)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("{train: 0.8, test: 0.3}", "shares that sum to 1, found train 0.8, test 0.3"),
        ("{train: 0.8, test: 0.2, sed: 3}", "unknown key 'sed'; did you mean 'seed'"),
        (
            "{train: 0.8, test: 0.2, group_buy: x}",
            "unknown key 'group_buy'; did you mean 'group_by'",
        ),
        ("{train: 0.5, ../test: 0.5}", "letters and digits in a split's name"),
        ("{train: 1, lists: {tarin: a.txt}}", "unknown split 'tarin'; did you mean 'train'"),
        ("{train: 1, group_pattern: 'a(b'}", "expected a regular expression"),
        ("{train: 1, group_pattern: 'ab'}", r"expected a group in \(...\)"),
    ],
)
def test_wrong_splits(tmp_path: Path, split: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        set_of(tmp_path, ["a"], f"split: {split}")


@pytest.mark.parametrize("seed", range(30))
def test_every_category_has_its_share_in_every_split(seed: int) -> None:
    """Random sets with rare and frequent categories, in groups of one to nine photos."""
    rng = np.random.default_rng(seed)
    groups, categories = int(rng.integers(40, 200)), int(rng.integers(2, 12))
    frequent = rng.uniform(0.02, 0.6, categories)
    photos = rng.integers(1, 10, groups)
    table = np.zeros((groups, 1 + categories))
    table[:, 0] = photos
    table[:, 1:] = rng.poisson(photos[:, None] * frequent)
    shares = {"train": 0.7, "val": 0.1, "test": 0.2} if seed % 2 else {"train": 0.8, "test": 0.2}
    places = np.array(assign_splits(table, [None] * groups, shares))
    for column in table.T:
        present = column > 0
        if present.sum() < 5:
            continue
        for name, share in shares.items():
            assert present[places == name].any()
            found = column[places == name].sum() / column.sum()
            enough = column.max() < 0.02 * column.sum()  # one group alone may be too large
            assert abs(found - share) < (0.05 if enough else 0.15)


def test_five_groups_are_in_both_splits_even_if_unequal() -> None:
    table = np.array([[100, 500], [1, 1], [1, 1], [1, 1], [1, 1], *[[1, 0]] * 20], float)
    places = np.array(assign_splits(table, [None] * len(table), {"train": 0.8, "test": 0.2}))
    assert {"train", "test"} == set(places[:5].tolist())


def test_fixed_rows_stay_and_the_others_compensate() -> None:
    table = np.ones((20, 2))
    fixed = ["train"] * 15 + [None] * 5
    places = assign_splits(table, fixed, {"train": 0.75, "test": 0.25})
    assert places == ["train"] * 15 + ["test"] * 5


def test_two_photos_fill_both_splits(tmp_path: Path) -> None:
    split = "split: {train: 0.8, test: 0.2}"
    assert sorted(split_of(set_of(tmp_path, ["a", "b"], split)).values()) == ["test", "train"]


def test_an_error_in_the_group_file_names_the_line(tmp_path: Path) -> None:
    dataset = set_of(tmp_path, ["a"], "split: {train: 1, group_by: photos.csv}")
    (tmp_path / "photos.csv").write_text("image,photo\na.jpg\n")
    with pytest.raises(InputError, match=r"photos.csv: line 2: expected 2 columns, found 1"):
        split_of(dataset)


def test_a_category_in_one_split_only_is_a_finding(tmp_path: Path) -> None:
    photos = {f"p{i}": [square("box", 2, 2, 5)] for i in range(6)}
    photos["p0"].append(square("disc", 10, 10, 5))
    dataset = draw_dataset(tmp_path, photos, yaml=YAML)
    (finding,) = check(dataset).findings
    assert (finding.rule, finding.file) == ("category-one-split", "dataset.yaml")
    assert finding.message.startswith("'disc' is only in ")
    assert finding.message.split(": ")[1] in (
        "not used in training",
        "used in training but never scored",
    )
    convert(dataset)
    found = check(open_dataset(tmp_path)).findings
    assert [one for one in found if one.rule == "category-one-split"] == [finding]
