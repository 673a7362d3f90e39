"""Pairs of files that could be compared wrongly without a word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from base.errors import InputError
from conversion.coco.png import write_segment_ids
from evaluation.scores.scores import evaluate_files
from tests.cases import copy_case

Values = dict[str, Any]
CATEGORIES = [
    {"id": 149, "name": "road", "isthing": 0},
    {"id": 201, "name": "person", "isthing": 1},
    {"id": 202, "name": "car", "isthing": 1},
]
IDS = np.repeat(np.array([[7, 7, 8, 8, 9, 9, 0, 0]], np.uint32), 4, 0)  # the last columns are void


def write_set(folder: Path, name: str, change: Callable[[Values], object] | None = None) -> Path:
    """Write a panoptic set of one photo with three segments."""
    pairs = ((7, 149), (8, 201), (9, 202))
    segments = [{"id": i, "category_id": c, "area": 8, "bbox": [0, 0, 2, 4]} for i, c in pairs]
    image = {"id": 1, "file_name": "a.jpg", "width": 8, "height": 4}
    annotation = {"image_id": 1, "file_name": "a.png", "segments_info": segments}
    values = {"images": [image], "annotations": [annotation], "categories": CATEGORIES}
    values = json.loads(json.dumps(values))
    write_segment_ids(folder / name / "a.png", IDS)
    if change:
        change(values)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(values))
    return path


def segments_of(values: Values) -> list[Values]:
    found: list[Values] = values["annotations"][0]["segments_info"]
    return found


def renumber(values: Values) -> None:
    """Give the categories the ids of another table, as published weights do."""
    ids = {149: 100, 201: 1, 202: 3}
    for each in values["categories"]:
        each["id"] = ids[each["id"]]
    for each in segments_of(values):
        each["category_id"] = ids[each["category_id"]]


def invent_category(values: Values) -> None:
    values["categories"].append({"id": 5, "name": "kite", "isthing": 1})
    segments_of(values)[1]["category_id"] = 5


def repeat(*keys: str | int) -> Callable[[Values], None]:
    """Repeat the first entry of the list at `keys`."""

    def change(values: Values) -> None:
        found: Any = values
        for key in keys:
            found = found[key]
        found.append(found[0])

    return change


def repeat_photo(values: Values) -> None:
    values["images"].append({**values["images"][0], "id": 2})
    values["annotations"].append({**values["annotations"][0], "image_id": 2})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (renumber, r"category 100 \(stuff 'road'\): expected the id 149, as in .*truth.json"),
        (invent_category, r"category 5 \(thing 'kite'\): .* found 1 segment of one that it does"),
        (lambda v: segments_of(v).pop(), "a.jpg: expected only ids .*, found 8 pixels of id 9"),
        (
            lambda v: segments_of(v).append({**segments_of(v)[0], "id": 88}),
            "a.jpg: segment 88: expected pixels in its PNG, found none",
        ),
        (repeat("images"), "images: id: expected 1 once, found it 2 times"),
        (repeat_photo, "images: file_name: expected a.jpg once, found it 2 times"),
        (repeat("annotations"), "annotations: image_id: expected 1 once, found it 2 times"),
        (repeat("categories"), "categories: id: expected 149 once, found it 2 times"),
        (
            repeat("annotations", 0, "segments_info"),
            "image 1: segments_info: id: expected 7 once, found it 2 times",
        ),
    ],
)
def test_what_could_be_scored_wrongly_is_refused(
    tmp_path: Path, change: Callable[[Values], None], message: str
) -> None:
    truth = write_set(tmp_path, "truth")
    with pytest.raises(InputError, match=message):
        evaluate_files(truth, write_set(tmp_path, "prediction", change))
    if change not in (renumber, invent_category):  # the ground truth is checked in the same way
        with pytest.raises(InputError, match=message):
            evaluate_files(write_set(tmp_path, "truth", change), write_set(tmp_path, "other"))


def test_pngs_without_rgb_ids_are_refused(tmp_path: Path) -> None:
    truth, prediction = write_set(tmp_path, "truth"), write_set(tmp_path, "prediction")
    png = tmp_path / "prediction/a.png"
    cv2.imwrite(str(png), IDS.astype(np.uint8))
    with pytest.raises(InputError, match=r"a.png: expected an 8-bit RGB PNG, .* greyscale"):
        evaluate_files(truth, prediction)


def test_what_other_programs_write_is_scored(tmp_path: Path) -> None:
    """Detectron2 leaves out areas, boxes, images and categories; others add a byte-order mark."""
    truth = write_set(tmp_path, "truth")

    def results_only(values: Values) -> None:
        del values["images"], values["categories"]
        for each in segments_of(values):
            del each["area"], each["bbox"]

    prediction = write_set(tmp_path, "prediction", results_only)
    prediction.write_bytes(b"\xef\xbb\xbf" + prediction.read_bytes())
    scores = evaluate_files(truth, prediction)
    assert scores.quality.all.pq == 1
    assert [s.area for s in scores.matches[0].prediction.segments] == [8, 8, 8]
    with pytest.raises(InputError, match="missing required field `categories`"):
        evaluate_files(prediction, truth)
    bare = write_set(tmp_path, "bare", lambda values: values.pop("images"))
    assert evaluate_files(bare, prediction).quality.all.pq == 1
    text = prediction.read_text("utf-8-sig")
    prediction.write_text(text.replace('"image_id": 1', '"image_id": 5'))
    with pytest.raises(InputError, match=r"annotations\[0\].image_id: expected an image of .* 5"):
        evaluate_files(truth, prediction)


def test_a_thing_and_stuff_of_one_name_have_a_row_each(tmp_path: Path) -> None:
    def rename(values: Values) -> None:
        values["categories"][1]["name"] = "road"

    truth = write_set(tmp_path, "truth", rename)
    quality = evaluate_files(truth, write_set(tmp_path, "prediction", rename)).quality
    assert list(quality.categories) == ["road (149)", "road (201)", "car"]
    assert quality.things.n == 2 and quality.stuff.n == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("png_gray8", "a.png: expected an 8-bit RGB PNG"),
        ("png_palette", "a.png: expected an 8-bit RGB PNG"),
        ("png_not_json", "found 100 pixels of id 77"),
        ("json_not_png", "segment 88: expected pixels"),
        ("photo_twice", "a.jpg once"),
        ("other_ids", "'road'"),
        ("coco_ids", "'person'"),
        ("results_format", None),
        ("equal_names", None),
    ],
)
def test_cases(name: str, message: str | None, tmp_path: Path) -> None:
    folder = copy_case("evaluate", tmp_path)
    truth = folder / "truth/truth.json"
    prediction = folder / name / "panoptic.json"
    if name == "equal_names":
        truth = folder / "truth_equal_names/truth.json"
        categories = evaluate_files(truth, prediction).quality.categories
        assert {"road (149)", "road (201)", "car"} < categories.keys()
        return
    if message is None:
        assert evaluate_files(truth, prediction).quality.all.pq == 1
        return
    with pytest.raises(InputError, match=message):
        evaluate_files(truth, prediction)
