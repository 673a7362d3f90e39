"""All problems of a source are reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotation.dataset import open_dataset
from annotation.rules.validate import check_dataset
from base.errors import InputError
from conversion.importing.importer import import_coco
from tests.conversion.importing.coco_files import (
    CATEGORY,
    TRIANGLE,
    coco,
    image,
    instance,
    problem,
    rle,
    shapes_in,
)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (instance(1, [TRIANGLE], image_id=2), "annotations[0]: image_id: expected the id of an"),
        (
            instance(1, [TRIANGLE], category_id=9),
            "category_id: expected the id of a category, found",
        ),
        (instance(1, [[1, 2, 3, 4, 5]]), "segmentation[0]: expected x, y pairs, found 5 numbers"),
        (instance(1, [[1, 2, "3"]]), "Expected `float`, got `str`"),
        (instance(1, [[1, 2, 1e30, 4, 5, 6]]), "annotations[0]: Expected `float` <="),
        (instance(1, [1, 2, 3, 4, 5, 6]), "expected a list of polygons, found a flat list"),
        (instance(1, [], bbox=[1, 2, 3]), "or a bbox of 4 numbers, found 3 numbers"),
        (instance(1, {"size": [40, 30], "counts": [1200]}), "an RLE of 40x30 pixels, found 30x40"),
        (
            instance(1, {"size": [30, 40], "counts": [9]}),
            "expected runs of 1,200 pixels, found 9 p",
        ),
        (instance(1, {"size": [30, 40], "counts": [-1, 1201]}), "Expected `int` >= 0"),
        (
            instance(1, {"size": [30, 40], "counts": "~~"}),
            "expected the counts of a compressed RLE",
        ),
        (instance(1, {"size": [30, 40], "counts": "é"}), "expected the counts of a compressed RLE"),
        (instance(1, {"size": [30, 40], "counts": "o" * 30 + "0"}), "longer than any photo"),
        (instance(1, {"size": [10**6] * 2, "counts": [0, 10**12]}), "found 1000000x1000000"),
    ],
)
def test_wrong_annotations(tmp_path: Path, annotation: dict[str, Any], message: str) -> None:
    source = coco(tmp_path / "s", annotation)
    text = problem(source, tmp_path / "set")
    assert message in text
    assert str(source) in text
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([image(1, "../other.jpg")], "photo '../other.jpg' is missing; looked in"),
        ([image(1, "/etc/passwd")], "photo '/etc/passwd' is missing; looked in"),
        ([image(1, "b.jpg")], "photo 'b.jpg' is missing; looked in"),
        ([image(1, "x" * 5000)], "name too long"),
        ([image(1, "coco.json")], "expected a photo name that ends in .jpg"),
        ([image(1, "a.jpg", width=30, height=40)], "expected 40x30 pixels, the size of"),
        ([image(1, "a.jpg", width=10**9, height=10**9)], "found 1000000000x1000000000"),
        ([image(1, "a.jpg"), image(1, "a.jpg")], "images[1]: id 1 appears twice"),
        ([image(1, "a.jpg"), image(2, "a.jpg")], "photo 'a.jpg' appears twice"),
        ([{"id": 1}], "images[0]: Object missing required field `file_name`"),
        ("no list", "images: Expected `array`, got `str`"),
        ([], "annotations[0]: image_id"),
    ],
)
def test_wrong_images(tmp_path: Path, images: Any, message: str) -> None:
    source = coco(tmp_path / "s", instance(1, [TRIANGLE]), images=images)
    assert message.lower() in problem(source, tmp_path / "set").lower()
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ([{"id": 1, "name": " "}], "expected a name of printable characters, found ''"),
        ([{"id": 1, "name": "a\nb"}], "expected a name of printable characters, found 'a\\nb'"),
        ([{"id": 1, "name": "__hole__"}], "'__hole__' has a special meaning"),
        ([{"id": 1, "name": "sky", "isthing": 0}], "'sky' is stuff"),
        ([CATEGORY, {**CATEGORY, "name": "c"}], "categories[1]: id 1 appears twice"),
        (
            [CATEGORY, {**CATEGORY, "id": 2, "supercategory": "toy"}],
            "'box' is the name of two categories, id 1 with supercategory '' and id 2 with",
        ),
    ],
)
def test_wrong_categories(tmp_path: Path, categories: Any, message: str) -> None:
    second = min(2, len(categories))
    annotations = [instance(1, [TRIANGLE]), instance(2, [TRIANGLE], category_id=second)]
    if categories[-1]["id"] == 1:
        annotations = annotations[:1]
    source = coco(tmp_path / "s", *annotations, categories=categories)
    assert message in problem(source, tmp_path / "set")


def test_all_problems_are_reported_at_once_up_to_a_limit(tmp_path: Path) -> None:
    annotations = [instance(n, [[1]]) for n in range(30)]
    source = coco(tmp_path / "s", *annotations, images=[image(1, "a.jpg"), image(2, "missing.jpg")])
    lines = problem(source, tmp_path / "set").splitlines()
    assert len(lines) == 21
    assert "missing.jpg" in lines[0]
    assert "annotations[0]: segmentation[0]: expected x, y pairs" in lines[1]
    assert lines[-1] == "... and 11 more"


def test_photos_that_are_all_missing_are_one_problem(tmp_path: Path) -> None:
    images = [image(n, f"{n}.jpg") for n in range(1, 30)]
    source = coco(tmp_path / "s", images=images)
    first, second = problem(source, tmp_path / "set").splitlines()
    assert first.endswith("none of its 29 photos can be used")
    assert "photo '1.jpg' is missing" in second


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ('{"a":' + "[" * 100_000, "is not valid JSON"),
        ("[]", "expected a COCO file"),
        ('{"images": []}', "expected a COCO file: JSON with images, annotations, categories"),
    ],
)
def test_files_that_are_not_coco(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "x.json").write_text(content)
    assert message in problem(tmp_path / "x.json", tmp_path / "set")
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "x.json").rename(folder / "x.json")
    assert message.split(":")[0] in problem(folder, tmp_path / "set")
    assert "missing; expected a COCO file" in problem(tmp_path / "no", tmp_path / "set")


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    source = coco(tmp_path / "s", instance(1, [TRIANGLE]))
    source.write_bytes(b"\xef\xbb\xbf" + source.read_bytes())
    assert shapes_in(import_coco(source, tmp_path / "set")) == 1


def test_damaged_files_raise_only_input_errors(tmp_path: Path) -> None:
    """Whatever replaces a value, the result is a set or an InputError."""
    rng = np.random.default_rng(0)
    values = [None, -1, 1e300, "", "\x00", [], {}, [[]], True, 2**70, "a" * 300, [[0.5, 2]]]
    source = coco(tmp_path / "s", instance(1, [TRIANGLE]), instance(2, rle(["#"], compressed=True)))
    text = source.read_text()
    for number in range(150):
        value = json.loads(text)
        places: list[tuple[Any, Any]] = []
        stack: list[Any] = [value]
        while stack:
            node = stack.pop()
            keys = node if isinstance(node, dict) else range(len(node))
            places += [(node, key) for key in keys]
            stack += [node[key] for key in keys if isinstance(node[key], dict | list)]
        node, key = places[rng.integers(len(places))]
        node[key] = values[rng.integers(len(values))]
        source.write_text(json.dumps(value))
        try:
            import_coco(source, tmp_path / f"set{number}")
        except InputError:
            assert not (tmp_path / f"set{number}").exists()
        else:
            check_dataset(open_dataset(tmp_path / f"set{number}"))
