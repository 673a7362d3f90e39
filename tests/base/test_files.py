from __future__ import annotations

import errno
from pathlib import Path

import pytest

from base.errors import InputError
from base.files import inside, replacing, write_bytes
from base.links import link_or_copy
from base.parsing import parse, read_json
from conversion.config import ConversionConfig, open_valid_dataset
from tests.full_disk import largest_file


def test_an_unknown_key_suggests_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text("name: a\nthings: [b]\nsplit: {trian: 0.8, test: 0.2}\n")
    with pytest.raises(
        InputError, match=r"dataset.yaml: split: expected a split 'train'.*found trian"
    ):
        open_valid_dataset(tmp_path)
    path.write_text("name: a\nthings: [b]\nsplit: {train: 1, group_buy: x.csv}\n")
    with pytest.raises(InputError, match=r"split: unknown key 'group_buy'.*'group_by'"):
        open_valid_dataset(tmp_path)


def test_an_unknown_key_in_a_list_names_the_entry() -> None:
    data = {"stuff_sources": [{"label_map": "stuff"}]}
    with pytest.raises(InputError, match=r"stuff_sources\[0\]: unknown key 'label_map'"):
        parse(ConversionConfig, data, where="x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("things: [a]", "name"),
        ("name: a\nthings: []", "at least one label"),
        ("name: a\nthings: [b, b]", "'b' appears twice"),
        ("name: a\nthings: [b]\nsplit: {train: 0.9, test: 0.3}", "sum to 1"),
        ("name: a\nthings: 5", "dataset.yaml: things: expected a list, found 5"),
        ("name: [", "is not valid YAML"),
        ("name: a\nthings: [b]\nname: c", "line 3: the key 'name' appears twice"),
        ("name: a\nthings: [b]\nx: !!python/object/apply:os.system ['true']", "is not valid YAML"),
    ],
)
def test_invalid_dataset_yaml(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        open_valid_dataset(tmp_path)
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_paths_from_data_stay_in_the_set(tmp_path: Path) -> None:
    assert inside(tmp_path, "a\\b.jpg", where="x") == tmp_path / "a/b.jpg"
    assert inside(tmp_path, "a/../b.jpg", where="x").resolve() == (tmp_path / "b.jpg").resolve()
    for path in ("../b.jpg", "/etc/passwd", "a/../../b.jpg", "..\\b.jpg"):
        with pytest.raises(InputError, match="must stay in"):
            inside(tmp_path, path, where="x")


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_invalid_json_is_an_error_with_the_path(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": ')
    with pytest.raises(InputError, match=r"a.json: is not valid JSON"):
        read_json(path)


def _not_supported(*_: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_a_full_disk_is_named_with_the_bytes_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "photo.png"
    full = r"2,000 bytes needed, [\d,]+ bytes free"
    with largest_file(1000), pytest.raises(OSError, match=full) as error:
        write_bytes(path, bytes(2000))
    assert error.value.filename == str(path)
    with largest_file(1000), pytest.raises(OSError, match=full) as error, replacing(path) as inner:
        write_bytes(inner, bytes(2000))  # as a fix does, which keeps a backup first
    assert error.value.filename == str(path) and str(error.value).count("bytes free") == 1
    photo = tmp_path / "large.png"
    photo.write_bytes(bytes(2000))
    with (
        largest_file(1000),
        pytest.raises(OSError, match=full) as error,
        monkeypatch.context() as patched,
    ):
        patched.setattr(Path, "symlink_to", _not_supported)
        link_or_copy(photo, path, kind="symbolic")
    assert error.value.filename == str(path)
    assert list(tmp_path.iterdir()) == [photo]
