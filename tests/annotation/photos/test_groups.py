from __future__ import annotations

from pathlib import Path

import pytest

from annotation.photos.groups import GroupTable, group_file, read_group_table, read_photo_groups
from base.errors import InputError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "photos.csv"


def test_rows_keep_their_order_and_the_second_column_its_name(path: Path) -> None:
    path.write_text('\ufeffimage,building\r\nb.jpg,"town, hall"\r\nsub/a.jpg,church\r\n')
    rows = (("b.jpg", "town, hall"), ("sub/a.jpg", "church"))
    assert read_group_table(path) == GroupTable("building", rows)
    assert read_photo_groups(path) == dict(rows)


def test_blank_lines_are_skipped(path: Path) -> None:
    path.write_text("\nimage,scene\n\na.jpg,1\n\n\nb.jpg,1\n\n")
    assert read_photo_groups(path) == {"a.jpg": "1", "b.jpg": "1"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a CSV file with a header"),
        ("\n\n", "cannot be read as a CSV file with a header"),
        ("photo,scene\n", "expected the columns image and a group, found ['photo', 'scene']"),
        ("image\n", "expected the columns image and a group, found ['image']"),
        ("image,scene\n\na.jpg,1\nb.jpg\n", "line 4: expected 2 columns, found 1"),
        ('image,scene\n"a\n.jpg",1\nb.jpg,1,2\n', "line 4: expected 2 columns, found 3"),
    ],
)
def test_an_error_names_the_file_and_the_line(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_group_table(path)
    assert str(error.value) == f"{path}: {message}"


def test_files_that_cannot_be_read(path: Path) -> None:
    path.write_bytes(b"image,scene\nF\xe9.jpg,1\n")
    with pytest.raises(InputError, match=r"photos.csv: cannot be read as a CSV file"):
        read_group_table(path)
    path.unlink()
    with pytest.raises(InputError, match=r"photos.csv: cannot be read: No such file"):
        read_group_table(path)


def test_the_table_of_a_set_must_be_inside_the_set(tmp_path: Path) -> None:
    assert group_file(tmp_path, None) is None
    assert group_file(tmp_path, "a/groups.csv") == tmp_path / "a/groups.csv"
    with pytest.raises(InputError, match=r"dataset.yaml: split.group_by: .*'../groups.csv'"):
        group_file(tmp_path, "../groups.csv")
