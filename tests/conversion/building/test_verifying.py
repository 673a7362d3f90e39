"""Nothing that was changed in a built set or in its store is called up to date."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from annotation.dataset import Dataset
from base.errors import InputError
from conversion.building.build import convert
from tests.conversion.building.builds import draw, tree
from tests.databases import fill_the_disk, overwrite_pages, replace_by_pipe


def _png(dataset: Dataset) -> Path:
    return min(dataset.panoptic.glob("panoptic_train/*.png"))


def _flip_a_byte(dataset: Dataset) -> str:
    path = _png(dataset)
    stamp, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    return f"panoptic_train/{path.name}"


def _turn_a_link(dataset: Dataset) -> str:
    path = min(dataset.panoptic.glob("train/*.jpg"))
    other = max(dataset.images.iterdir())
    path.unlink()
    path.symlink_to(os.path.relpath(other, path.parent))
    return f"train/{path.name}"


def _replace_a_link_by_a_file(dataset: Dataset) -> str:
    path = min(dataset.panoptic.glob("train/*.jpg"))
    path.unlink()
    path.write_bytes(b"another photo")
    return f"train/{path.name}"


def _tamper(name: str, change: Callable[[bytes], bytes]) -> Callable[[Dataset], str]:
    def harm(dataset: Dataset) -> str:
        path = dataset.panoptic / name
        path.write_bytes(change(path.read_bytes()))
        return name

    return harm


HARMS = [
    _flip_a_byte,
    _turn_a_link,
    _replace_a_link_by_a_file,
    _tamper("manifest.json", lambda text: text.replace(b'"segments": ', b'"segments": 1')),
    _tamper("manifest.json", lambda text: text.replace(b'"photos": {', b'"photos": 3, "x": {', 1)),
    _tamper("manifest.json", lambda _: b"[" * 100_000),
    _tamper("annotations/panoptic_test.json", lambda text: text.replace(b'"id"', b'"di"', 1)),
    _tamper("annotations/panoptic_test.json", lambda _: b""),
    _tamper("groups.json", lambda text: b" " + text),
]


@pytest.mark.parametrize("harm", HARMS)
def test_what_was_changed_is_named_and_built_again(
    tmp_path: Path, harm: Callable[[Dataset], str]
) -> None:
    dataset = draw(tmp_path, 6)
    convert(dataset)
    whole = tree(dataset)
    changed = harm(dataset)
    again = convert(dataset)
    assert (again.fresh, again.repaired) == (True, (changed,))
    assert tree(dataset) == whole
    last = convert(dataset)
    assert (last.fresh, last.repaired) == (False, ())


def test_verify_finds_what_neither_size_nor_times_show(tmp_path: Path) -> None:
    dataset = draw(tmp_path, 4)
    convert(dataset)
    whole, path = tree(dataset), _png(dataset)
    _flip_a_byte(dataset)
    status = path.stat()
    with sqlite3.connect(tmp_path / ".cache/findings.sqlite") as database:  # as a failing disk
        painted = _painted_digest(tmp_path, path.name)
        stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        row = (str(path), *stamp, painted)
        database.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", row)
    assert not convert(dataset).fresh
    verified = convert(dataset, verify=True)
    assert verified.repaired == (f"panoptic_train/{path.name}",)
    assert tree(dataset) == whole
    assert not convert(dataset, verify=True).fresh


def _painted_digest(root: Path, name: str) -> bytes:
    with sqlite3.connect(root / ".cache/convert.sqlite") as database:
        query = "SELECT digest FROM painted WHERE png LIKE ?"
        return bytes(database.execute(query, (f"%{name}",)).fetchone()[0])


def _garbage(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def _newer_version(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE painted ADD COLUMN more INT")
        database.execute("PRAGMA user_version = 7")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "harm", [overwrite_pages, _garbage, _newer_version, replace_by_pipe, _folder]
)
def test_a_damaged_store_is_replaced_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: Callable[[Path], None]
) -> None:
    dataset = draw(tmp_path, 4)
    convert(dataset)
    whole, store = tree(dataset), tmp_path / ".cache/convert.sqlite"
    harm(store)
    capsys.readouterr()
    convert(dataset)
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith(f"{store}: ") for line in lines] == [True], lines
    assert "; it is built again" in lines[0] or "is not a regular file; renamed" in lines[0]
    assert tree(dataset) == whole
    assert not convert(dataset).fresh
    assert capsys.readouterr().out == ""


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = draw(tmp_path, 40)
    with monkeypatch.context() as patched:
        fill_the_disk(patched)
        with pytest.raises(InputError, match=r"convert.sqlite: cannot be written: no space left"):
            convert(dataset)
    convert(dataset)
    assert not convert(dataset).fresh


def test_the_manifest_is_missing_while_anything_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark of a complete set is removed before the first write, even of one photo."""
    dataset = draw(tmp_path, 4)
    convert(dataset)
    before = json.loads((dataset.panoptic / "manifest.json").read_text())
    _flip_a_byte(dataset)
    real, seen = os.replace, []

    def replace(source: Path, target: Path) -> None:
        if dataset.panoptic in Path(target).parents:
            seen.append((Path(target).name, (dataset.panoptic / "manifest.json").exists()))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    convert(dataset)
    assert [name for name, _ in seen][-1] == "manifest.json"
    assert not any(marked for _, marked in seen)
    assert json.loads((dataset.panoptic / "manifest.json").read_text()) == before
