"""Values of photos: each is computed once, and a damaged database is replaced."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from annotation.dataset import Dataset
from base.errors import InputError
from conversion.building.photo_values import values_of_photos
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


def _overwrite_pages(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


def _damage_the_schema(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_master SET sql = 'damaged' WHERE type = 'table'")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("harm", [_overwrite_pages, _damage_the_schema, _pipe])
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
    """SQLite reports a full disk if a database may not have more pages."""
    real = sqlite3.connect

    def connect(path: Path, timeout: float = 5) -> sqlite3.Connection:
        connection = real(path, timeout)
        connection.execute("PRAGMA max_page_count = 8")
        return connection

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", connect)
        with pytest.raises(InputError, match=r"values.sqlite: cannot be written: no space left"):
            _values(dataset)
    assert _values(dataset)[1] == _names(dataset)
