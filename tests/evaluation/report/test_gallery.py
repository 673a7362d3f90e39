"""The gallery: a Markdown page with pictures side by side, PQ and errors in words."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import pytest

from base.errors import InputError
from conversion.building.build import convert
from conversion.coco.categories import Category
from conversion.coco.panoptic import Segment
from evaluation.errors.kinds import Error
from evaluation.report.gallery import BAND, GAP, errors_in_words, write_gallery
from tests.drawn import YAML, draw_dataset, square


def gallery(tmp_path: Path, *, seed: int = 0) -> Path:
    """Write the gallery of two of three photos, which are predicted without an error."""
    yaml = YAML.replace("box", "box_*")
    dataset = draw_dataset(
        tmp_path, {f"p{i}": [square("box_*", 2, 3, 9)] for i in range(6)}, yaml=yaml
    )
    convert(dataset)
    truth = dataset.panoptic / "annotations/panoptic_test.json"
    page = tmp_path / "docs/results.md"
    write_gallery(truth, truth, page, images=dataset.images, title="a_b", rows=2, seed=seed)
    return page


def test_every_photo_has_three_pictures_side_by_side(tmp_path: Path) -> None:
    page = gallery(tmp_path)
    text = page.read_text()
    overview, *pictures = (
        cv2.imread(str(page.parent / x)) for x in re.findall(r"\]\((\S+jpg)", text)
    )
    assert [p.shape for p in pictures if p is not None] == [(30, 3 * 40 + 2 * GAP, 3)] * 2
    # of two photos, both are among the best, the typical ones and the worst
    assert overview is not None and overview.shape == (6 * (30 + BAND), 3 * 40 + 2 * GAP, 3)
    assert len(re.findall(r"^### \d\. p\d\.jpg: PQ 100\.0$", text, re.MULTILINE)) == 2
    assert (
        text.count("Errors: none. IoU of the hits: 100.0 (lowest: ") == 2 and "with seed 0" in text
    )
    assert text.startswith("# a\\_b\n\nPQ 100.0 ± 0.0 (3 photos, 95 % interval)")


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first = gallery(tmp_path)
    files = {path: path.read_bytes() for path in first.parent.rglob("*") if path.is_file()}
    assert len(files) == 4
    gallery(tmp_path)
    assert files == {path: path.read_bytes() for path in files}


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "docs/results").mkdir(parents=True)
    (tmp_path / "docs/results/notes.txt").touch()
    with pytest.raises(InputError, match=r"results: expected only pictures .* found notes\.txt"):
        gallery(tmp_path)


def test_errors_in_words() -> None:
    categories = [Category(1, "car", True, (0, 0, 0)), Category(2, "bus", True, (0, 0, 0))]
    car, bus = (Segment(n, n, 9, (0, 0, 3, 3)) for n in (1, 2))
    errors = [
        Error("missed", car, None),
        Error("missed", car, None),
        Error("missed", bus, None),
        Error("wrong category", car, bus, 0.6),
        Error("invented", None, bus),
    ]
    expected = "missed: 2 car, bus; wrong category: car as bus; invented: bus"
    assert errors_in_words(errors, categories) == expected
    assert errors_in_words([], categories) == "none"
