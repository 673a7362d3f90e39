from __future__ import annotations

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from base.errors import InputError
from conversion.building.build import convert
from conversion.coco.categories import Category
from conversion.coco.panoptic import Segment
from evaluation.errors.redraw import read_redraw, write_redraw
from evaluation.report.draw import draw_segments, shrink, tint_segments
from evaluation.report.page import write_report
from tests.drawn import YAML, draw_dataset, square

LOG = """\
{"stage": "boxes", "epoch": 1, "train": {"loss": 4.0, "loss_ce": 1.0}, "test": {"loss": 5.0}}
{"stage": "boxes", "epoch": 2, "train": {"loss": 2.0, "loss_ce": 0.5}, "test": {"loss": 3.0}}
{"stage": "masks", "epoch": 1, "train": {"loss": 2.0, "loss_mask": 0.5}, "test": {"loss": 3.0}}
"""


def report(tmp_path: Path, *, rows: int = 100, seed: int = 0) -> Path:
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
        folder=tmp_path,
        log=tmp_path / "log.jsonl",
        settings=(root / "dataset.yaml",),
        title="a <b> title",
        rows=rows,
        seed=seed,
    ).page


def test_page_pictures_and_curves(tmp_path: Path) -> None:
    page = report(tmp_path)
    html = page.read_text()
    sources = re.findall(r'<img[^>]* src="([^"]+)"', html)
    assert len(sources) == 3 * 3  # three pictures for each of three photos
    for source in sources:
        assert cv2.imread(str(page.parent / source)) is not None
    assert html.count('class="row"') == 3
    assert html.count('class="curve test"') == 2 and html.count('class="curve train"') == 4
    assert 'href="../log.jsonl"' in html
    assert "stuff_sources: [{label_maps: stuff}]" in html  # dataset.yaml
    assert "PQ 100.0 ± 0.0." in html
    assert (page.parent / "errors.csv").read_text().startswith("photo,kind,")
    text = (page.parent / "report.md").read_text()
    assert "PQ 100.0 ± 0.0." in text and "| PQ | 100.0 | 100.0 to 100.0 |" in text


def test_text_from_data_is_escaped(tmp_path: Path) -> None:
    html = report(tmp_path).read_text()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
    assert "a &lt;b&gt; title" in html


def test_the_number_of_rows_and_a_second_report(tmp_path: Path) -> None:
    page = report(tmp_path, rows=2)
    assert page.read_text().count('class="row"') == 2
    before = page.stat().st_mtime_ns
    assert report(tmp_path, rows=2).stat().st_mtime_ns == before
    report(tmp_path, rows=1)
    assert page.read_text().count('class="row"') == 1


@pytest.mark.parametrize("lost", ["index.html", "errors.csv", "report.md", "pictures"])
def test_deleted_files_are_written_again(tmp_path: Path, lost: str) -> None:
    folder = report(tmp_path).parent
    files = {path for path in folder.rglob("*") if path.is_file()}
    path = folder / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    report(tmp_path)
    assert {path for path in folder.rglob("*") if path.is_file()} == files


@pytest.mark.parametrize(
    ("rows", "seed", "message"),
    [(0, 0, "--rows: expected 1 or more, found 0"), (-1, 0, "found -1"), (1, -1, "--seed: .* -1")],
)
def test_rows_and_seed_are_checked(tmp_path: Path, rows: int, seed: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        report(tmp_path, rows=rows, seed=seed)


def test_pictures_of_large_photos_are_shrunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.report.rows.LONG_SIDE", 20)  # of 40x30
    pictures = [cv2.imread(str(p)) for p in report(tmp_path).parent.glob("pictures/*.jpg")]
    assert {picture.shape for picture in pictures if picture is not None} == {(15, 20, 3)}


def test_segments_keep_their_place_in_a_shrunk_photo() -> None:
    ids = np.zeros((4, 12), np.uint32)
    ids[:, 6:] = 70000
    photo = shrink(np.full((4, 12, 3), 200, np.uint8), long_side=6)
    segments = [Segment(70000, 7, 24, (6, 0, 6, 4))]
    picture = draw_segments(photo, ids, segments, [Category(7, "a", True, (100, 0, 0))])
    assert picture.shape == (2, 6, 3)
    assert picture[1].tolist() == [[70] * 3] * 2 + [[255] * 3] + [[140, 80, 80]] * 3
    assert shrink(photo, long_side=6) is photo


def test_segments_void_and_borders() -> None:
    photo = np.full((20, 20, 3), 200, np.uint8)
    ids = np.zeros((20, 20), np.uint32)
    ids[:, :6] = 1
    segments = [Segment(1, 7, 120, (0, 0, 6, 20))]
    categories = [Category(7, "a name too long for its segment", True, (100, 0, 0))]
    picture = draw_segments(photo, ids, segments, categories)
    assert picture[5, 9].tolist() == [70, 70, 70]  # void: the photo, dimmed
    assert picture[5, 2].tolist() == [140, 80, 80]
    assert picture[5, 5].tolist() == [255, 255, 255]
    assert (picture == tint_segments(photo, ids, segments, categories)).all()
    assert (photo == 200).all()


def test_a_photo_changed_since_the_conversion_is_an_error(tmp_path: Path) -> None:
    page = report(tmp_path)
    page.unlink()
    for photo in (tmp_path / "set/images").iterdir():
        cv2.imwrite(str(photo), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(InputError, match=r"expected 40x30 pixels .* found 10x10; run `convert`"):
        report(tmp_path)


@pytest.mark.parametrize("state", ["missing", "truncated"])
def test_a_photo_that_cannot_be_read_is_an_error(tmp_path: Path, state: str) -> None:
    report(tmp_path).unlink()
    for photo in (tmp_path / "set/images").iterdir():
        cv2.imwrite(str(photo), np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8))
        data = photo.read_bytes()
        photo.unlink()
        if state == "truncated":
            photo.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"set/images/p\d\.jpg: cannot be read as a photo: "):
        report(tmp_path)


@pytest.mark.parametrize("name", ["redraw.txt", "redraw.json"])
def test_a_deleted_list_of_photos_to_annotate_again_is_rewritten(tmp_path: Path, name: str) -> None:
    report(tmp_path)
    content = (tmp_path / name).read_text()
    (tmp_path / name).unlink()
    report(tmp_path)
    assert (tmp_path / name).read_text() == content


def test_the_list_of_another_prediction_is_rewritten(tmp_path: Path) -> None:
    page = report(tmp_path)
    before = read_redraw(tmp_path)
    write_redraw(tmp_path, [], [], inputs="of another prediction")
    assert report(tmp_path) == page
    assert read_redraw(tmp_path) == before
