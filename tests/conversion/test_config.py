"""The keys of `dataset.yaml` that only the conversion reads."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from annotation.dataset import CONVERSION_KEYS, DatasetConfig, open_dataset
from base.errors import InputError
from conversion.config import (
    KEYS,
    ConversionConfig,
    StuffSource,
    config_values,
    open_valid_dataset,
    read_conversion_config,
)

REQUIRED = "name: a\nthings: [box]\n"


def test_defaults(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").write_text(REQUIRED)
    assert read_conversion_config(open_dataset(tmp_path)) == ConversionConfig()


def test_numbers_under_split_are_shares(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").write_text(REQUIRED + "split: {train: 0.5, dev: 0.5, seed: 3}\n")
    split = read_conversion_config(open_dataset(tmp_path)).split
    assert (split.shares, split.seed) == ({"train": 0.5, "dev": 0.5}, 3)


def test_validation_knows_the_labels_of_stuff_and_the_file_of_groups(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").write_text(
        REQUIRED
        + "stuff_sources: [{shapes: [road]}, {coco: c.json}, {shapes: {heaven: sky}}]\n"
        + "split: {train: 1, group_by: photos.csv}\n"
    )
    dataset = open_dataset(tmp_path)
    assert dataset.config.stuff_labels == ("road", "heaven")
    assert dataset.config.group_by == "photos.csv"
    sources = read_conversion_config(dataset).stuff_sources
    assert sources[1] == StuffSource(coco="c.json")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sliver: {area: 3}", "unknown key 'sliver'; did you mean 'slivers'"),
        ("own_stufff: [puddle]", "unknown key 'own_stufff'; did you mean 'own_stuff'"),
        ("slivers: {are: 3}", "slivers: unknown key 'are'; did you mean 'area'"),
        ("stuff_labels: [road]", "unknown key 'stuff_labels'"),
        ("group_by: photos.csv", "unknown key 'group_by'"),
        ("stuff_sources: 3", "dataset.yaml: stuff_sources: expected a list, found 3"),
        ("split: [1]", "dataset.yaml: split: expected a mapping, found a list"),
        ("split: {sead: 1}", "split: unknown key 'sead'; did you mean 'seed'"),
        ("split: {train: 0.8, test: 0.2, sead: 1}", "split: unknown key 'sead'"),
        ("least_visible: 1", "least_visible: expected 0 to 1, found 1"),
        ("instances: all", "instances: expected one of visible, amodal, found 'all'"),
        ("own_stuff: [box]", "things and stuff: 'box' appears twice"),
        ("stuff: [road]\nstuff_groups: {g: [road]}", "stuff_groups: 'road' appears twice"),
    ],
)
def test_errors_are_found_when_a_command_opens_the_set(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text(f"{REQUIRED}{line}\n")
    with pytest.raises(InputError) as error:
        open_valid_dataset(tmp_path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_values_have_all_keys_in_a_fixed_order() -> None:
    """Digests are computed from them, so another order would paint every photo again."""
    values = config_values(DatasetConfig("a", ("box",)), ConversionConfig())
    assert list(values) == list(KEYS)
    assert set(CONVERSION_KEYS) == set(msgspec.to_builtins(ConversionConfig()))
    own = set(msgspec.to_builtins(DatasetConfig("a", ("box",)))) - {"stuff_labels", "group_by"}
    assert set(KEYS) == own | set(CONVERSION_KEYS)
