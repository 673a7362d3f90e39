"""A report is made again whenever a file that it shows or scores has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from base.errors import InputError
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
