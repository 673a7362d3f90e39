"""`groups.json`, from which training learns which photos belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotation.dataset import Dataset
from base.errors import InputError
from conversion.building.build import convert
from conversion.building.group_file import read_groups
from tests.conversion.building.builds import draw, tree
from tests.drawn import YAML

GROUPED = YAML.replace("seed: 0", "seed: 0, group_by: photos.csv, group_pattern: '(p00[01])'")


def draw_grouped(root: Path) -> Dataset:
    root.mkdir(parents=True, exist_ok=True)
    (root / "photos.csv").write_text(
        "image,place\np001.jpg,a\np004.jpg,a\np002.jpg,b\np005.jpg,c\n"
    )
    return draw(root, 8, yaml=GROUPED)


def groups_of(dataset: Dataset) -> tuple[tuple[str, ...], ...]:
    found = read_groups(dataset.panoptic)
    assert found
    return found.groups


def test_groups_of_csv_and_pattern_are_written(tmp_path: Path) -> None:
    dataset = draw_grouped(tmp_path)
    convert(dataset)
    assert groups_of(dataset) == (("p001.jpg", "p004.jpg"),)  # p000 and p001 differ in the pattern
    assert not convert(dataset).fresh


def test_groups_change_although_no_photo_changes_its_split(tmp_path: Path) -> None:
    dataset = draw_grouped(tmp_path)
    convert(dataset)
    before = tree(dataset)
    train = sorted(path.name for path in (dataset.panoptic / "train").iterdir())
    together = [name for name in train if name not in ("p001.jpg", "p004.jpg")][:2]
    with (tmp_path / "photos.csv").open("w") as file:
        file.write("image,place\n" + "".join(f"{name},x\n" for name in together))
    convert(dataset)
    assert groups_of(dataset) == (tuple(together),)
    after = tree(dataset)
    assert {name for name in after if after[name] != before[name]} == {"groups.json"}


@pytest.mark.parametrize("content", [None, b"damaged"])
def test_a_missing_or_damaged_file_is_written_again(tmp_path: Path, content: bytes | None) -> None:
    """Sets that earlier versions built have none; everything else keeps its bytes."""
    dataset = draw_grouped(tmp_path)
    convert(dataset)
    before, path = tree(dataset), dataset.panoptic / "groups.json"
    path.unlink()
    assert read_groups(dataset.panoptic) is None
    if content:
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"groups\.json: is not valid JSON"):
            read_groups(dataset.panoptic)
    convert(dataset)
    assert tree(dataset) == before
