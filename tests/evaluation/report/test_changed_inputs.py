"""A report is made again whenever a file that it shows or scores has changed."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from base.errors import InputError
from evaluation.errors.redraw import has_redraw, redraw_inputs, write_redraw
from tests.evaluation.report.test_page import report


def _flip_a_bit(path: Path) -> None:
    """Change one bit; the size and the time stay."""
    status, data = path.stat(), bytearray(path.read_bytes())
    data[-5] ^= 1  # of a checksum or a marker at the end
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _first(folder: Path) -> Path:
    return sorted(path for path in folder.iterdir() if path.is_file())[0]


@pytest.mark.parametrize("folder", ["panoptic/panoptic_test", "panoptic/test"])
def test_a_changed_file_makes_the_report_new(tmp_path: Path, folder: str) -> None:
    page = report(tmp_path)
    before = page.stat().st_mtime_ns
    assert report(tmp_path).stat().st_mtime_ns == before
    _flip_a_bit(_first(tmp_path / "set" / folder).resolve())
    try:
        assert report(tmp_path).stat().st_mtime_ns > before
    except InputError as error:  # or the file is refused, because it is damaged now
        assert _first(tmp_path / "set" / folder).name in str(error)


def test_a_damaged_picture_is_drawn_again(tmp_path: Path) -> None:
    picture = _first(report(tmp_path).parent / "pictures")
    whole = picture.read_bytes()
    _flip_a_bit(picture)
    report(tmp_path)
    assert picture.read_bytes() == whole
    (tmp_path / "redraw.txt").write_bytes(b"cut")
    report(tmp_path)
    assert (tmp_path / "redraw.txt").read_bytes() == b""


def test_a_report_that_was_stopped_is_not_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It showed another photo; then that photo is put back, so that the inputs are as before."""
    folder = report(tmp_path).parent
    whole = {path: path.read_bytes() for path in folder.glob("pictures/*")}
    photos = {path: path.read_bytes() for path in (tmp_path / "set/images").iterdir()}
    for photo in photos:
        cv2.imwrite(str(photo), np.zeros((30, 40, 3), np.uint8))

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("evaluation.report.page.markdown", stop)
        report(tmp_path)
    for photo, data in photos.items():
        photo.write_bytes(data)
    report(tmp_path)
    assert {path: path.read_bytes() for path in folder.glob("pictures/*")} == whole


def test_an_old_list_does_not_vouch_for_a_new_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_redraw(tmp_path, [], [], inputs="old")

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("evaluation.errors.redraw.write_json", stop)
    with pytest.raises(KeyboardInterrupt):
        write_redraw(tmp_path, [], [], inputs="new")
    assert not has_redraw(tmp_path, inputs="old")


def test_a_png_of_any_suffix_is_an_input(tmp_path: Path) -> None:
    (tmp_path / "panoptic").mkdir()
    (tmp_path / "panoptic/a.PNG").write_bytes(b"1")
    before = redraw_inputs(tmp_path / "panoptic.json", tmp_path / "panoptic.json")
    (tmp_path / "panoptic/a.PNG").write_bytes(b"2")
    assert redraw_inputs(tmp_path / "panoptic.json", tmp_path / "panoptic.json") != before
