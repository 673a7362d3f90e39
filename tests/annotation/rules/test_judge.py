from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from annotation.dataset import Dataset
from annotation.findings import RULES, Complaint
from annotation.labelme.annotation import Annotation, Shape
from annotation.rules.judge import judge
from annotation.rules.validate import check_dataset
from tests.drawn import YAML, draw_dataset, square

SHAPE = square("box", 2, 2, 5)


def drawn(tmp_path: Path, severity: str = "") -> Dataset:
    return draw_dataset(
        tmp_path, {"a": [SHAPE]}, yaml=YAML.replace("{label-", f"{{{severity}label-")
    )


def judged(dataset: Dataset, rule: str, shape: Shape = SHAPE) -> list[str]:
    annotation = Annotation("a.jpg", 30, 40, (shape,))
    complaint = Complaint(rule, 0, "message", "fix")
    found = judge(dataset, dataset.labelme / "a.json", [complaint], annotation)
    return [finding.severity for finding in found]


@pytest.mark.parametrize("severity", ["error", "warning", "note"])
def test_the_set_can_change_the_severity_of_a_rule(tmp_path: Path, severity: str) -> None:
    assert judged(drawn(tmp_path), "tiny") == ["warning"]
    assert judged(drawn(tmp_path, f"tiny: {severity}, "), "tiny") == [severity]


def test_the_set_can_ignore_a_rule(tmp_path: Path) -> None:
    assert judged(drawn(tmp_path, "tiny: ignore, "), "tiny") == []


@pytest.mark.parametrize("rule", RULES)
def test_a_checked_shape_has_no_warnings_and_notes(tmp_path: Path, rule: str) -> None:
    checked = replace(SHAPE, flags={"checked": True})
    found = judged(draw_dataset(tmp_path, {}, yaml="name: drawn\nthings: [box]\n"), rule, checked)
    assert found == (["error"] if RULES[rule] == "error" else [])


def test_the_checked_flag_waives_nothing_if_it_is_false(tmp_path: Path) -> None:
    assert judged(drawn(tmp_path), "tiny", replace(SHAPE, flags={"checked": False})) == ["warning"]


def test_an_error_that_the_set_makes_a_warning_leaves_the_file_usable(tmp_path: Path) -> None:
    photos = {"a": [square("strange", 2, 2, 5)]}
    assert not check_dataset(draw_dataset(tmp_path, photos)).annotations[0].usable
    yaml = YAML.replace("severity: {", "severity: {label-unknown: warning, ")
    assert check_dataset(draw_dataset(tmp_path, photos, yaml=yaml)).annotations[0].usable


def test_findings_are_in_the_order_of_files(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"b": [], "a": []}, yaml="name: drawn\nthings: [box]\n")
    (dataset.images / "c.jpg").write_bytes((dataset.images / "a.jpg").read_bytes())
    files = [finding.file for finding in check_dataset(dataset).findings]
    assert files == ["labelme/a.json", "labelme/b.json", "images/c.jpg", "dataset.yaml"]
