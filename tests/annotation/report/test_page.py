from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import annotation.report.page
from annotation.dataset import Dataset
from annotation.findings import Finding
from annotation.labelme.annotation import Shape, read_annotation, write_annotation
from annotation.labelme.masks import encode_mask_png
from annotation.report.frames import HEIGHT, WIDTH, View, around, whole
from annotation.report.listing import finding_lines, findings_table, worst_files
from annotation.report.page import write_page
from annotation.rules.validate import check_dataset
from tests.drawn import draw_dataset, square

EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Tags, attributes and pictures of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = path.read_text("utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def pictures(self) -> list[np.ndarray]:
        sources = [attrs["src"] or "" for tag, attrs in self.tags if tag == "img"]
        data = [base64.b64decode(s.removeprefix("data:image/jpeg;base64,")) for s in sources]
        return [np.asarray(Image.open(io.BytesIO(one))) for one in data]


def page_of(dataset: Dataset, *, pixels: bool = False) -> Page:
    path = dataset.root / "findings.html"
    write_page(path, dataset, check_dataset(dataset, pixels="decode" if pixels else "known"))
    return Page(path)


def red(picture: np.ndarray) -> np.ndarray:
    r, g, b = (picture[..., i].astype(int) for i in range(3))
    return (r > 190) & (g < 90) & (b < 90)


def test_nothing_in_the_data_becomes_html(tmp_path: Path) -> None:
    name = 'it\'s "b" & <i>'
    dataset = draw_dataset(tmp_path, {name: [square(EVIL, 2, 2, 9)]})
    page = page_of(dataset)
    assert EVIL not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert [tag for tag, _ in page.tags].count("script") == 1
    shown = [a["data-show-text"] for t, a in page.tags if "data-show-text" in a]
    assert shown == [f"labelme/{name}.json", "dataset.yaml"][: len(shown)]
    allowed = {"href", "src", "action"}
    links = [v for _, attrs in page.tags for k, v in attrs.items() if k in allowed and v]
    assert all(link.startswith("data:image/jpeg;base64,") for link in links)
    assert "http" not in re.sub('http-equiv="Content', "", page.text)


def test_the_shape_is_red_in_a_part_of_its_photo(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 5), square("bxo", 20, 10, 12)]})
    page = page_of(dataset)
    (picture,) = page.pictures()
    assert picture.shape == (HEIGHT, WIDTH, 3)
    rows, columns = np.nonzero(red(picture))
    assert rows.min() > 0 and rows.max() < HEIGHT - 1
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=4)  # a square stays a square
    assert all(a["loading"] == "lazy" for t, a in page.tags if t == "img")


def test_photos_are_shown_with_their_exif_rotation(tmp_path: Path) -> None:
    """A photo in portrait format, whose left half is light and contains the shape."""
    dataset = draw_dataset(tmp_path, {"a": [Shape("bxo", ((2.0, 4.0), (12.0, 30.0)), "rectangle")]})
    upright = np.zeros((40, 30, 3), np.uint8)
    upright[:, :15] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90)
    stored.save(tmp_path / "images/a.jpg", exif=exif)
    path = dataset.labelme / "a.json"
    write_annotation(path, replace(read_annotation(path), height=40, width=30))
    (picture,) = page_of(dataset).pictures()
    rows, columns = np.nonzero(red(picture))
    inside = picture[rows.min() + 20 : rows.max() - 20, columns.min() + 20 : columns.max() - 20]
    assert inside[..., 0].mean() > 220


@pytest.mark.parametrize(
    "shape",
    [
        Shape("bxo", ((5.0, 5.0), (6.0, 6.0))),
        Shape("box", ((5.0, 5.0), (6.0, 5.0), (6.0, 6.0))),
        Shape("bxo", ((9.0, 9.0),), "point"),
        Shape("bxo", ((9.0, 9.0), (20.0, 11.0)), "line"),
        Shape("box", ((500.0, 900.0), (510.0, 900.0), (500.0, 910.0))),
        Shape("box", ((38.0, 9.0), (60.0, 9.0), (60.0, 28.0))),
        Shape("bxo", ((20.0, 15.0), (28.0, 15.0)), "circle"),
        Shape(
            "bxo", ((9.0, 9.0), (13.0, 13.0)), "mask", mask=encode_mask_png(np.ones((5, 5), bool))
        ),
    ],
    ids=["few", "tiny", "point", "line", "far", "out", "circle", "mask"],
)
def test_every_kind_of_shape_is_visible(tmp_path: Path, shape: Shape) -> None:
    pictures = page_of(draw_dataset(tmp_path, {"a": [shape]})).pictures()
    assert pictures
    assert all(red(picture).sum() > 50 for picture in pictures)


def test_the_copy_in_the_file_is_shown_if_the_photo_is_missing(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 9)], "b": [square("box", 2, 2, 9)]})
    for name in "ab":
        (tmp_path / f"images/{name}.jpg").rename(tmp_path / f"{name}.jpg")
    path = dataset.labelme / "a.json"
    data = base64.b64encode((tmp_path / "a.jpg").read_bytes()).decode()
    write_annotation(path, replace(read_annotation(path), image_data=data))
    page = page_of(dataset)
    assert len(page.pictures()) == 1
    assert ("div", {"class": "none"}) not in page.tags  # as another rule has


def test_photos_without_annotation_and_broken_files_are_shown_whole(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 9)], "b": [square("box", 2, 2, 9)]})
    (dataset.labelme / "a.json").unlink()
    (dataset.labelme / "b.json").write_text("{")
    assert len(page_of(dataset).pictures()) == 2


def test_pictures_and_lists_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotation.report.page, "MOST_PICTURES", 2)
    monkeypatch.setattr(annotation.report.page, "MOST_LISTED", 3)
    shapes = [square(f"bxo{i}", 4 * i, 2, 3.5) for i in range(9)]
    page = page_of(draw_dataset(tmp_path, {"a": shapes}))
    assert len(page.pictures()) == 2
    items = [a for t, a in page.tags if "item" in (a.get("class") or "").split()]
    assert len(items) == 5
    assert "At most 2 findings of each rule" in page.text
    assert "4 more, see" in page.text


def test_a_set_without_findings_also_has_a_page(tmp_path: Path) -> None:
    page = page_of(draw_dataset(tmp_path, {"a": [square("box", 2, 2, 9)]}))
    assert "No findings" in page.text


def test_views_keep_their_aspect_ratio_and_stay_in_the_photo() -> None:
    view = around(np.array([[100.0, 100.0], [140.0, 160.0]]), (600, 800))
    assert (view.x1 - view.x0) / (view.y1 - view.y0) == pytest.approx(WIDTH / HEIGHT)
    assert 0 <= view.x0 < 100 and 140 < view.x1 <= 800
    corner = around(np.array([[0.0, 0.0], [4.0, 4.0]]), (600, 800))
    assert corner.x0 == pytest.approx(0, abs=5) and corner.x1 - corner.x0 == 80
    assert whole((600, 800)) == View(0, 0, 800, 600, (600, 800))
    assert around(np.array([[9000.0, 0.0]]), (600, 800)) == whole((600, 800))


def finding(file: str, severity: str = "error", message: str = "m") -> Finding:
    return Finding("label-unknown", severity, file, 0, message, "f")  # type: ignore[arg-type]


def test_worst_files_have_the_most_errors() -> None:
    findings = [finding("b", "note")] * 5 + [finding("a", "warning"), finding("c"), finding("c")]
    assert [one.file for one in worst_files(findings)] == ["c", "a", "b"]


def test_the_number_of_lines_is_limited() -> None:
    lines = list(finding_lines([finding("a\x1b[31m\n", message=EVIL)] * 12, most=10))
    assert lines[0] == f"error   a_[31m_: shapes[0]: {EVIL} [label-unknown; f]"
    assert lines[10:] == ["... 2 more, see --json or --html"]


def test_markup_in_the_data_has_no_effect_in_the_table() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(findings_table([finding("[red]a[/red].json"), finding("[/b].json", "note")]))
    text = console.export_text()
    assert "[red]a[/red].json" in text and "[/b].json" in text
    console.print(findings_table([]))
    assert "no findings" in console.export_text()
