"""Pictures of annotations and of boxes, and pictures side by side."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import labelme_panoptic_detr as lpd
from annotation.report.pictures import BLUE, RED
from conversion.coco.panoptic import Photo
from conversion.coco.results import Result
from tests.drawn import draw_dataset, square

GREY, BROWN = 128, (120, 60, 20)


def share(picture: np.ndarray, colour: tuple[int, int, int]) -> float:
    """The share of the pixels that have about this colour."""
    return float((np.abs(picture.astype(int) - colour).max(axis=2) < 40).mean())


def test_an_annotation_is_drawn_on_the_whole_photo_and_a_finding_in_red(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 9), square("bix", 20, 10, 8)]})
    drawn = lpd.draw_annotation(dataset, "labelme/a.json")
    assert share(drawn, BLUE) > 0.01 and not share(drawn, RED)
    (finding,) = (f for f in lpd.validate(dataset).findings if f.shape == 1)
    assert share(lpd.draw_annotation(dataset, finding.file, finding), RED) > 0.005
    photo = lpd.draw_annotation(dataset, "images/a.jpg")  # findings may be on photos
    assert photo.shape == drawn.shape and not share(photo, BLUE)


def test_what_cannot_be_drawn_is_named(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": []})
    with pytest.raises(lpd.InputError, match=r"b\.json: cannot be read"):
        lpd.draw_annotation(dataset, "labelme/b.json")
    photo = dataset.images / "a.jpg"
    photo.write_bytes(photo.read_bytes()[:300])
    with pytest.raises(lpd.InputError, match=r"a\.jpg"):
        lpd.draw_annotation(dataset, "labelme/a.json")
    photo.unlink()
    with pytest.raises(lpd.InputError, match="no photo to show"):
        lpd.draw_annotation(dataset, "labelme/a.json")


def test_predicted_boxes_are_drawn_from_a_score_of_a_half() -> None:
    box = lpd.Category(1, "box", isthing=True, color=BROWN)
    results = (Result(1, 1, (10, 20, 30, 40), 0.9), Result(1, 1, (60, 20, 30, 40), 0.4))
    pixels = np.full((80, 100, 3), GREY, np.uint8)
    photo = lpd.PanopticPhoto(
        pixels, np.zeros((80, 100), np.uint32), Photo(1, "a", 100, 80, "", ()), (box,), results
    )
    assert [one.xyxy for one in photo.instances] == [(10, 20, 40, 60), (60, 20, 90, 60)]
    drawn = photo.draw(boxes=True)
    assert (drawn[40, [10, 39]] == BROWN).all() and (drawn[59, 25] == BROWN).all()
    assert (drawn[30:50, 14:36] == GREY).all() and (drawn[:, 55:] == GREY).all()
    assert photo.draw(boxes=True, long_side=50).shape == (40, 50, 3)
    assert (pixels == GREY).all()


def test_pictures_side_by_side_have_white_between_and_below_them() -> None:
    shown = lpd.show(np.zeros((4, 5, 3), np.uint8), np.zeros((2, 3, 3), np.uint8))
    expected = np.full((4, 5 + 6 + 3, 3), 255, np.uint8)
    expected[:, :5] = expected[:2, 11:] = 0
    assert np.array_equal(shown.pixels, expected) and repr(shown) == "Shown(14x4)"
    jpeg = np.frombuffer(shown._repr_jpeg_(), np.uint8)
    decoded = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert decoded is not None and decoded.shape == expected.shape
