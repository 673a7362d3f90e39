"""One cause has one message, and notes do not drown what matters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from annotation.dataset import Dataset
from annotation.rules.validate import check_dataset
from tests.annotation.rules.found import findings, places
from tests.drawn import YAML, draw_dataset, square

MANY = [square("box", 3 * n, 20, 6) for n in range(8)]


def draw(root: Path, *, yaml: str = YAML, **keys: Any) -> Dataset:
    dataset = draw_dataset(root, {"a": MANY}, yaml=yaml)
    path = dataset.labelme / "a.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))
    return dataset


def shrink_photo(dataset: Dataset) -> None:
    cv2.imwrite(str(dataset.images / "a.jpg"), np.zeros((15, 20, 3), np.uint8))


def test_a_wrong_photo_size_is_reported_once(tmp_path: Path) -> None:
    dataset = draw(tmp_path)
    assert places(dataset, "outside-picture") == []
    shrink_photo(dataset)
    found = [(f.rule, f.severity) for f in check_dataset(dataset).findings]
    assert found == [("photo-size", "error")]


def test_if_the_size_is_no_error_the_shapes_are_measured_on_the_photo(tmp_path: Path) -> None:
    yaml = YAML.replace("severity: {", "severity: {photo-size: warning, ")
    dataset = draw(tmp_path, yaml=yaml)
    shrink_photo(dataset)
    assert len(places(dataset, "outside-picture")) == len(MANY)


def test_an_unknown_flag_is_reported_only_where_it_is_set(tmp_path: Path) -> None:
    dataset = draw(tmp_path, flags={"night": False, "rainy": True})
    assert [f.message.split(";")[0] for f in findings(dataset, "flag-unknown")] == [
        "flag 'rainy' is unknown"
    ]
    path = dataset.labelme / "a.json"
    data = json.loads(path.read_text())
    for number, shape in enumerate(data["shapes"]):
        shape["flags"] = {"red": number > 5, "blue": False}
    path.write_text(json.dumps({**data, "flags": {}}))
    (finding,) = findings(dataset, "flag-unknown")
    assert (finding.shape, "did you mean" in finding.message) == (6, False)


@pytest.mark.parametrize("path", ["C:\\old\\a.jpg", "../../a.jpg"])
def test_a_path_that_leads_out_of_the_set_says_which_photo_is_used(
    tmp_path: Path, path: str
) -> None:
    (finding,) = check_dataset(draw(tmp_path, imagePath=path)).findings
    assert finding.rule == "photo-path-leaves"
    assert finding.message.endswith("leads out of the set; a.jpg was found by its name and is used")
