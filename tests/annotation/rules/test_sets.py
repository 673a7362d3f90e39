from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotation.dataset import Dataset
from annotation.labelme.annotation import Shape, read_annotation, write_annotation
from annotation.rules.sets import robust_deviations
from annotation.rules.validate import check_dataset
from conversion.building.check import check
from tests.annotation.rules.found import findings, places
from tests.drawn import YAML, draw_dataset, square

BOX, DISC = square("box", 2, 2, 5), square("disc", 10, 2, 5)
STRICT = "name: drawn\nthings: [box, disc]\n"


def test_categories_with_few_instances(tmp_path: Path) -> None:
    photos = {f"{i}": [BOX] for i in range(10)}
    dataset = draw_dataset(tmp_path, {**photos, "a": [DISC] * 9}, yaml=STRICT)
    (finding,) = findings(dataset, "category-few")
    assert (finding.file, finding.shape, finding.severity) == ("dataset.yaml", None, "warning")
    assert finding.message == "'disc' has 9 instances, expected 10 or more"
    draw_dataset(tmp_path, {"b": [DISC]}, yaml=STRICT)
    assert findings(dataset, "category-few") == []


def test_parts_of_one_instance_count_once(tmp_path: Path) -> None:
    parts = [square("box", 2 + i, 2, 1, group_id=1) for i in range(12)]
    dataset = draw_dataset(tmp_path, {"a": [*parts, *[DISC] * 10]}, yaml=STRICT)
    assert [f.message for f in findings(dataset, "category-few")] == [
        "'box' has 1 instance, expected 10 or more"
    ]


def test_excluded_files_do_not_count(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [BOX] * 10, "b": [DISC] * 10}, yaml=STRICT)
    path = dataset.labelme / "b.json"
    write_annotation(path, replace(read_annotation(path), flags={"exclude": True}))
    assert [f.message for f in findings(dataset, "label-unused")] == [
        "no shape has the label 'disc'"
    ]


def test_labels_that_no_shape_has(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [BOX] * 10}, yaml=STRICT)
    (finding,) = findings(dataset, "label-unused")
    assert (finding.file, finding.severity) == ("dataset.yaml", "note")
    draw_dataset(tmp_path, {"b": [DISC] * 10}, yaml=STRICT)
    assert findings(dataset, "label-unused") == []


@pytest.mark.parametrize(("boxes", "unequal"), [(30, False), (31, True)])
def test_frequent_and_rare_categories(tmp_path: Path, boxes: int, unequal: bool) -> None:
    yaml = f"{STRICT}limits: {{few: 0, imbalance: 10}}\n"
    dataset = draw_dataset(tmp_path, {"a": [BOX] * boxes + [DISC] * 3}, yaml=yaml)
    found = [(f.file, f.message) for f in findings(dataset, "category-imbalance")]
    message = f"'box' has {boxes} instances, 'disc' only 3"
    assert found == ([("dataset.yaml", message)] if unequal else [])


def rectangle(label: str, width: float, height: float, x: float = 5, y: float = 5) -> Shape:
    return Shape(label, ((x, y), (x + width, y + height)), "rectangle")


def usual(count: int = 40) -> list[Shape]:
    """Boxes of about 4 by 4 pixels."""
    rng = np.random.default_rng(0)
    return [rectangle("box", *rng.uniform(3.5, 4.5, 2).tolist()) for _ in range(count)]


def outliers(tmp_path: Path, strange: Sequence[Shape]) -> list[tuple[str, int | None]]:
    dataset = draw_dataset(tmp_path, {"a": usual(), "b": strange})
    return [
        (f.rule, f.shape)
        for f in check_dataset(dataset).findings
        if f.rule in ("size-outlier", "aspect-outlier")
    ]


@pytest.mark.parametrize(
    ("strange", "rules"),
    [
        (rectangle("box", 4, 4), []),
        (rectangle("box", 5, 5), []),
        (rectangle("box", 20, 20), ["size-outlier"]),
        (rectangle("box", 1, 1), ["size-outlier"]),
        (rectangle("box", 16, 1), ["aspect-outlier"]),
        (rectangle("box", 1, 16), ["aspect-outlier"]),
        (rectangle("box", 30, 1), ["aspect-outlier"]),
        (rectangle("box", 0.5, 20, y=8), ["aspect-outlier"]),
        (rectangle("disc", 20, 20), []),  # the only one of its kind
        (rectangle("box", 30, 20, x=0, y=0), []),  # cut by the border: its size is unknown
        (replace(rectangle("box", 20, 20), flags={"occluded": True}), []),
        (replace(rectangle("box", 20, 20), flags={"checked": True}), []),
    ],
)
def test_outliers_in_size_and_aspect(tmp_path: Path, strange: Shape, rules: list[str]) -> None:
    assert outliers(tmp_path, [BOX, strange]) == [(rule, 1) for rule in rules]


def test_findings_about_the_set_are_the_same_when_no_file_is_read_again(tmp_path: Path) -> None:
    drawn = {"a": usual(), "b": [BOX, rectangle("box", 20, 20)], "c": [DISC]}
    dataset = draw_dataset(tmp_path, drawn, yaml=f"{STRICT}limits: {{imbalance: 10}}\n")
    first = check_dataset(dataset).findings
    assert {"size-outlier", "category-few", "category-imbalance"} <= {f.rule for f in first}
    assert check_dataset(dataset).findings == first


def test_an_aspect_of_one_in_ten_things_is_not_an_outlier(tmp_path: Path) -> None:
    assert outliers(tmp_path, [rectangle("box", 16, 1)] * 5) == []


def test_few_things_are_not_compared(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [*usual(10), rectangle("box", 20, 20)]})
    assert places(dataset, "size-outlier") == []


def test_the_message_compares_with_the_usual_size(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": usual(), "b": [rectangle("box", 20, 20)]})
    (finding,) = findings(dataset, "size-outlier")
    assert (finding.severity, finding.file, finding.shape) == ("note", "labelme/b.json", 0)
    assert "has 400 square pixels, 25 times larger than usual" in finding.message


def test_robust_deviations() -> None:
    values = np.array([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 100])
    centre, deviations = robust_deviations(values)
    assert centre == 4.5
    assert deviations[0] == pytest.approx(-4.5 / (1.4826 * 2.5))
    assert (np.abs(robust_deviations(np.full(30, 3.0))[1]) == 0).all()


def split_places(dataset: Dataset) -> list[tuple[str, str]]:
    found = check(dataset).findings
    return [(f.rule, f.message) for f in found if f.rule == "category-one-split"]


def test_categories_in_one_split_only(tmp_path: Path) -> None:
    photos = {f"{i}": [BOX] for i in range(8)}
    dataset = draw_dataset(tmp_path, {**photos, "only": [BOX, DISC]})
    ((rule, message),) = split_places(dataset)
    assert rule == "category-one-split"
    assert "'disc' is only in" in message
    assert "in 1 photo:" in message
    draw_dataset(tmp_path, {f"{i}": [BOX, DISC] for i in range(8)})
    assert split_places(dataset) == []


def test_a_single_split_has_no_findings(tmp_path: Path) -> None:
    yaml = YAML.replace("{train: 0.5, test: 0.5,", "{train: 1, test: 0,")
    assert split_places(draw_dataset(tmp_path, {"a": [BOX], "b": [DISC]}, yaml=yaml)) == []


def test_the_set_can_ignore_findings_about_splits(tmp_path: Path) -> None:
    yaml = YAML.replace("severity: {", "severity: {category-one-split: ignore, ")
    assert split_places(draw_dataset(tmp_path, {"a": [BOX], "b": [DISC]}, yaml=yaml)) == []
