from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from annotation.labelme.annotation import Shape, read_annotation, write_annotation
from annotation.rules.labels import find_spelling
from annotation.rules.validate import check_dataset
from tests.annotation.rules.found import findings, places
from tests.drawn import YAML, draw_dataset, square

KNOWN = ("traffic-cone", "brick-pallet", "oil-drum", "car", "disc", "window", "lane1", "lane2")


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Traffic Cone", "traffic-cone"),
        ("traffic_cone ", "traffic-cone"),
        ("oildrum", "oil-drum"),
        ("trafic-cone", "traffic-cone"),
        ("traficcome", "traffic-cone"),
        ("brick-palet", "brick-pallet"),
        ("windwo", "window"),
        ("dics", "disc"),
        ("ＣＡＲ", "car"),  # full width
        ("cat", None),  # a different word: three letters are too few
        ("dish", None),
        ("widows", None),
        ("lane3", None),  # numbers tell labels apart
        ("lane", None),
        ("", None),
        ("---", None),
        ("tree", None),
        ("x" * 10_000_000, None),
    ],
)
def test_spellings(label: str, name: str | None) -> None:
    assert find_spelling(label, KNOWN) == name


def test_a_misspelling_that_fits_two_labels_has_no_suggestion() -> None:
    assert find_spelling("balconyx", ("balcony1", "balcony")) == "balcony"
    assert find_spelling("balconyx", ("balconya", "balconyb")) is None


def test_typos_and_unknown_labels(tmp_path: Path) -> None:
    shapes = [square(label, 2, 2, 5) for label in ("box", "Disc", "bus", "__Hole__")]
    dataset = draw_dataset(tmp_path, {"a": shapes})
    typos, unknown = findings(dataset, "label-typo"), findings(dataset, "label-unknown")
    assert [(f.shape, f.severity) for f in typos] == [(1, "error"), (3, "error")]
    assert "did you mean 'disc'" in typos[0].message
    assert [(f.shape, f.severity) for f in unknown] == [(2, "error")]


def test_an_unknown_label_is_reported_once_per_file(tmp_path: Path) -> None:
    shapes = [square(label, 2 + 6 * i, 2, 5) for i, label in enumerate(("bus", "box", "bus"))]
    shapes += [square("tram", 26, 2, 5), replace(square("bus", 2, 20, 5), flags={"checked": True})]
    dataset = draw_dataset(tmp_path, {"a": shapes, "b": shapes[:1]})
    found = [(f.file[-6], f.shape, f.others) for f in findings(dataset, "label-unknown")]
    assert found == [("a", 0, (2,)), ("a", 3, ()), ("a", 4, ()), ("b", 0, ())]
    assert findings(dataset, "label-unknown")[0].message.startswith("label 'bus' (2 shapes) is")
    yaml = YAML.replace("severity: {", "severity: {label-unknown: warning, ")
    waived = draw_dataset(tmp_path, {}, yaml=yaml)
    assert [f.shape for f in findings(waived, "label-unknown")] == [0, 3, 0]


def test_known_labels_have_no_findings(tmp_path: Path) -> None:
    labels = ("box", "disc", "__hole__", "__ignore__")
    shapes = [square(label, 2 + 8 * i, 2, 5, group_id=1) for i, label in enumerate(labels)]
    dataset = draw_dataset(tmp_path, {"a": shapes})
    found = {f.rule for f in check_dataset(dataset).findings}
    assert not found & {"label-typo", "label-unknown", "flag-unknown", "group-not-allowed"}


def test_things_that_may_have_only_one_part(tmp_path: Path) -> None:
    shapes = [
        square("box", 2, 2, 5, group_id=1),
        square("disc", 10, 2, 5, group_id=1),
        square("disc", 18, 2, 5, group_id=1),
        square("disc", 26, 2, 5, group_id=2),  # alone
    ]
    dataset = draw_dataset(tmp_path, {"a": shapes}, yaml=f"{YAML}ungrouped: [disc]\n")
    (finding,) = findings(dataset, "group-not-allowed")
    assert (finding.shape, finding.severity) == (1, "warning")
    assert "shapes[2]" in finding.message
    assert finding.others == (2,)
    assert places(draw_dataset(tmp_path, {"a": shapes}), "group-not-allowed") == []


def flagged(*flags: str) -> Shape:
    return replace(square("box", 2, 2, 5), flags=dict.fromkeys(flags, True))


def test_unknown_flags_are_reported_once_per_file(tmp_path: Path) -> None:
    shapes = [flagged("occluded"), flagged("ocluded", "crowd"), flagged("ocluded")]
    dataset = draw_dataset(tmp_path, {"a": shapes, "b": [flagged("ocluded")]})
    path = dataset.labelme / "b.json"
    write_annotation(path, replace(read_annotation(path), flags={"exclude": False, "night": True}))
    assert places(dataset, "flag-unknown") == [
        ("labelme/a.json", 1),
        ("labelme/b.json", 0),
        ("labelme/b.json", None),
    ]
    first, *_, last = findings(dataset, "flag-unknown")
    assert "did you mean 'occluded'" in first.message
    assert "photo_flags" in last.fix


def test_flags_that_the_set_declares(tmp_path: Path) -> None:
    yaml = f"{YAML}shape_flags: [ocluded]\nphoto_flags: [night]\n"
    dataset = draw_dataset(tmp_path, {"a": [flagged("ocluded")]}, yaml=yaml)
    path = dataset.labelme / "a.json"
    write_annotation(path, replace(read_annotation(path), flags={"night": True}))
    assert places(dataset, "flag-unknown") == []


def test_a_thousand_unknown_flags_give_few_findings(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [flagged(*(f"flag {i}" for i in range(1000)))]})
    assert len(findings(dataset, "flag-unknown")) == 20
