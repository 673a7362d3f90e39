from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation.files import InputError
from conversion.build import convert
from conversion.categories import Category
from conversion.panoptic import Segment
from evaluation.curves import read_log
from evaluation.draw import WRONG, draw_segments
from evaluation.report import write_report
from tests.drawn import YAML, draw_dataset, square

LOG = """\
{"stage": "boxes", "epoch": 1, "train": {"loss": 4.0, "loss_ce": 1.0}, "test": {"loss": 5.0}}
{"stage": "boxes", "epoch": 2, "train": {"loss": 2.0, "loss_ce": 0.5}, "test": {"loss": 3.0}}
{"stage": "masks", "epoch": 1, "train": {"loss": 2.0, "loss_mask": 0.5}, "test": {"loss": 3.0}}
"""


def report(tmp_path: Path, *, rows: int = 100) -> Path:
    root = tmp_path / "set"
    if not root.exists():
        name = "<script>alert(1)</script>"
        yaml = YAML.replace("box", f'"{name}"')
        shapes = [square(name, 2, 3, 6), square("disc", 20, 5, 8)]
        dataset = draw_dataset(root, {f"p{i}": shapes for i in range(6)}, yaml=yaml)
        convert(dataset)
        (tmp_path / "log.jsonl").write_text(LOG)
    truth = root / "panoptic/annotations/panoptic_test.json"
    return write_report(
        truth,
        truth,
        images=root / "images",
        log=tmp_path / "log.jsonl",
        out=tmp_path / "report",
        title="a <b> title",
        rows=rows,
    )


def test_page_pictures_and_curves(tmp_path: Path) -> None:
    page = report(tmp_path)
    html = page.read_text()
    sources = re.findall(r'<img[^>]* src="([^"]+)"', html)
    assert len(sources) == 3 * 3 + 2  # three photos in three pictures, a curve for each stage
    for source in sources:
        assert cv2.imread(str(page.parent / source)) is not None
    assert html.count('class="row"') == 3
    assert "100.0" in html


def test_text_from_data_is_escaped(tmp_path: Path) -> None:
    html = report(tmp_path).read_text()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
    assert "a &lt;b&gt; title" in html


def test_rows_and_repetition(tmp_path: Path) -> None:
    page = report(tmp_path, rows=2)
    assert page.read_text().count('class="row"') == 2
    before = page.stat().st_mtime_ns
    assert report(tmp_path, rows=2).stat().st_mtime_ns == before
    report(tmp_path, rows=1)
    assert page.read_text().count('class="row"') == 1


def test_segments_void_and_wrong_borders() -> None:
    photo = np.full((20, 20, 3), 200, np.uint8)
    ids = np.zeros((20, 20), np.uint32)
    ids[:, :6], ids[:, 12:] = 1, 2
    segments = [Segment(1, 7, 120, (0, 0, 6, 20)), Segment(2, 7, 160, (12, 0, 8, 20))]
    categories = [Category(7, "a name too long for it", True, (100, 0, 0))]
    picture = draw_segments(photo, ids, segments, categories, wrong=[2])
    assert picture[5, 9].tolist() == [70, 70, 70]  # void: the photo, dimmed
    assert picture[5, 2].tolist() == [140, 80, 80]
    assert picture[5, 5].tolist() == [255, 255, 255]
    assert picture[5, 11].tolist() == list(WRONG)
    assert (photo == 200).all()


def test_broken_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"stage": ')
    with pytest.raises(InputError, match=r"log.jsonl: cannot be read as a training log"):
        read_log(tmp_path / "log.jsonl")


def test_a_photo_changed_since_the_conversion_is_one_line(tmp_path: Path) -> None:
    page = report(tmp_path)
    page.unlink()
    for photo in (tmp_path / "set/images").iterdir():
        cv2.imwrite(str(photo), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(InputError, match=r"expected 40x30 pixels .* got 10x10; convert the set"):
        report(tmp_path)
