"""Values of photos: each is computed once, and a damaged database is replaced."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from annotation.dataset import Dataset
from base.errors import InputError
from conversion.building.photo_values import values_of_photos
from tests.databases import fill_the_disk, overwrite_pages, replace_by_pipe
from tests.drawn import draw_dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    drawn = draw_dataset(tmp_path, {"a": [], "b": []})
    first, second = drawn.photos()
    second.write_bytes(first.read_bytes() + b"\0")  # another digest
    return drawn


def _names(dataset: Dataset) -> list[str]:
    return sorted(photo.name for photo in dataset.photos())


def _values(dataset: Dataset) -> tuple[list[bytes], list[str]]:
    """Return the values of the photos and the names of those that were computed."""
    computed: list[str] = []

    def compute(photos: Sequence[Path]) -> Iterable[bytes]:
        computed.extend(photo.name for photo in photos)
        return (photo.name.encode() * 100_000 for photo in photos)  # several pages

    return values_of_photos(dataset, _names(dataset), compute, file="values.sqlite"), computed


def _damage_the_schema(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_master SET sql = 'damaged' WHERE type = 'table'")


@pytest.mark.parametrize("harm", [overwrite_pages, _damage_the_schema, replace_by_pipe])
def test_a_damaged_database_is_replaced_with_one_line(
    dataset: Dataset, harm: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    names, path = _names(dataset), dataset.root / ".cache/values.sqlite"
    whole, computed = _values(dataset)
    assert computed == names and _values(dataset) == (whole, [])
    harm(path)
    (dataset.root / ".cache/convert.sqlite").mkdir()  # which only `convert` opens
    capsys.readouterr()
    assert _values(dataset) == (whole, names)
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith(f"{path}: ") for line in lines] == [True], lines
    assert _values(dataset) == (whole, [])


def test_a_full_disk_is_named(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        fill_the_disk(patched)
        with pytest.raises(InputError, match=r"values.sqlite: cannot be written: no space left"):
            _values(dataset)
    assert _values(dataset)[1] == _names(dataset)
