from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from base.errors import InputError
from conversion.coco.categories import Category
from conversion.coco.panoptic import Photo, Segment
from evaluation.errors.redraw import (
    has_redraw,
    list_redraw,
    read_redraw,
    redraw_inputs,
    write_redraw,
)
from evaluation.scores.matching import PhotoMatch, match_photo

WINDOW, DOOR = 1, 2
CATEGORIES = (
    Category(WINDOW, "window", True, (1, 1, 1)),
    Category(DOOR, "door", True, (2, 2, 2)),
)
ROOT = Path(__file__).parents[3]


def photo(name: str, row: list[int], categories: dict[int, int]) -> Photo:
    """A photo of one row of pixels."""
    segments = tuple(
        Segment(i, category, row.count(i), (row.index(i), 0, row.count(i), 1))
        for i, category in categories.items()
    )
    return Photo(1, name, len(row), 1, f"{name}.png", segments)


def match(
    name: str,
    truth: list[int],
    true_categories: dict[int, int],
    prediction: list[int],
    predicted_categories: dict[int, int],
) -> PhotoMatch:
    return match_photo(
        photo(name, truth, true_categories),
        np.array([truth], np.uint32),
        photo(name, prediction, predicted_categories),
        np.array([prediction], np.uint32),
    )


MATCHES = (
    match("right.jpg", [1, 1], {1: WINDOW}, [7, 7], {7: WINDOW}),
    match(  # window 1 is predicted as a door, window 2 is missed, window 3 is a hit
        "half.jpg",
        [1, 1, 1, 2, 3, 3],
        {1: WINDOW, 2: WINDOW, 3: WINDOW},
        [7, 7, 0, 0, 9, 9],
        {7: DOOR, 9: WINDOW},
    ),
    match("wrong.jpg", [1, 1], {1: WINDOW}, [7, 7], {7: DOOR}),
)


def test_the_worst_photo_is_first_with_its_wrong_segments(tmp_path: Path) -> None:
    write_redraw(tmp_path, MATCHES, CATEGORIES, inputs="a")
    assert (tmp_path / "redraw.txt").read_bytes() == b"wrong.jpg\nhalf.jpg\n"
    worst, half = json.loads((tmp_path / "redraw.json").read_text())["photos"]
    assert (worst["file_name"], worst["pq"]) == ("wrong.jpg", 0)
    assert half["pq"] == pytest.approx(1 / (1 + 3 / 2))
    assert half["segments"] == [
        {
            "outcome": "fn",
            "category": "window",
            "area": 3,
            "bbox": [0, 0, 3, 1],
            "truth_id": 1,
            "prediction_id": 7,
            "other_category": "door",
            "iou": pytest.approx(2 / 3),
        },
        {
            "outcome": "fn",
            "category": "window",
            "area": 1,
            "bbox": [3, 0, 1, 1],
            "truth_id": 2,
            "prediction_id": None,
            "other_category": None,
            "iou": None,
        },
        {
            "outcome": "fp",
            "category": "door",
            "area": 2,
            "bbox": [0, 0, 2, 1],
            "truth_id": 1,
            "prediction_id": 7,
            "other_category": "window",
            "iou": pytest.approx(2 / 3),
        },
    ]


def test_the_closest_segment_is_the_one_with_the_highest_iou() -> None:
    found = match("a.jpg", [1, 1, 1, 1, 1], {1: WINDOW}, [7, 7, 8, 8, 8], {7: WINDOW, 8: DOOR})
    (missed, *_) = list_redraw([found], CATEGORIES, inputs="a").photos[0].segments
    assert (missed.prediction_id, missed.iou) == (8, pytest.approx(3 / 5))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    assert not has_redraw(tmp_path, inputs="a")
    write_redraw(tmp_path, MATCHES, CATEGORIES, inputs="a")
    assert read_redraw(tmp_path) == list_redraw(MATCHES, CATEGORIES, inputs="a")
    assert has_redraw(tmp_path, inputs="a")


def test_a_list_of_another_prediction_or_of_an_earlier_format_is_outdated(tmp_path: Path) -> None:
    truth, prediction = tmp_path / "truth.json", tmp_path / "prediction.json"
    truth.write_text("t")
    prediction.write_text("first")
    inputs = redraw_inputs(truth, prediction)
    write_redraw(tmp_path, MATCHES, CATEGORIES, inputs=inputs)
    assert has_redraw(tmp_path, inputs=redraw_inputs(truth, prediction))
    prediction.write_text("second")
    assert not has_redraw(tmp_path, inputs=redraw_inputs(truth, prediction))
    (tmp_path / "redraw.json").write_text('{"photos": []}')
    assert not has_redraw(tmp_path, inputs=inputs)


def test_a_set_without_errors_has_an_empty_list(tmp_path: Path) -> None:
    write_redraw(tmp_path, MATCHES[:1], CATEGORIES, inputs="a")
    assert (tmp_path / "redraw.txt").read_bytes() == b""
    assert read_redraw(tmp_path).photos == ()


def test_a_damaged_list_is_an_error(tmp_path: Path) -> None:
    write_redraw(tmp_path, MATCHES, CATEGORIES, inputs="a")
    (tmp_path / "redraw.json").write_text('{"inputs": "a", "photos": [{"file_name": "a.jpg"}]}')
    with pytest.raises(InputError, match=r"redraw.json: photos\[0\]: expected the key 'pq'"):
        read_redraw(tmp_path)
    assert not has_redraw(tmp_path, inputs="a")


def test_the_list_needs_neither_fiftyone_nor_a_database(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.evaluation.errors.test_redraw import CATEGORIES, MATCHES\n"
        "from evaluation.errors.redraw import write_redraw\n"
        "write_redraw(Path(sys.argv[1]), MATCHES, CATEGORIES, inputs='a')\n"
        "print(sorted({'fiftyone', 'mongoengine', 'pymongo'} & sys.modules.keys()))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert has_redraw(tmp_path, inputs="a")
