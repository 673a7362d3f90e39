"""Shapes, predictions, several sources, and the configuration of sources."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from annotation.rules.validate import check_dataset
from base.errors import InputError
from tests.conversion.stuff.source_files import (
    GRAVEL,
    NAME,
    PERSON,
    RIVER,
    RUG,
    WOOD_FLOOR,
    H,
    W,
    grey,
    halves,
    panoptic,
    problem,
    reader,
    stuff,
)
from tests.drawn import ROAD, SKY, draw_dataset, square


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("stuff_sources: [{labelmaps: m}]", "unknown key 'labelmaps'; did you mean 'label_maps'?"),
        ("stuff_sources: [{coco: a, pixelmaps: b}]", "prediction, found coco and pixelmaps"),
        ("stuff_sources: [{table: t.csv}]", "expected one of label_maps, .*, found none"),
        (
            "stuff_sources: [{coco: a, confidence: 0.3}]",
            "confidence: expected only with prediction",
        ),
        ("stuff_sources: [{prediction: a, confidence: 3}]", "<= 1"),
        ("stuff_sources: [{shapes: [box]}]", "things and shapes: 'box' appears twice"),
        ("stuff_sources: [{shapes: [road]}, {shapes: [road]}]", "shapes: 'road' appears twice"),
        ("stuff_groups: {ground: [road]}", "stuff and stuff_groups: 'road' appears twice"),
        ("own_stuff: [road]", "things and stuff: 'road' appears twice"),
        (
            "stuff_groups: {ground: [sandd]}",
            "ground: expected a COCO stuff category, found 'sandd'; did you mean 'sand'",
        ),
        ("stuff_sources: [{label_maps: ../m}]", "path must stay in"),
        ("stuff_sources: [{pixelmaps: m}]", "expected a folder of pixel maps, found none at .*m"),
    ],
)
def test_wrong_configurations(tmp_path: Path, yaml: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        stuff(tmp_path, yaml)


def test_shapes_declared_as_stuff_are_only_stuff(tmp_path: Path) -> None:
    yaml = "stuff_sources: [{shapes: [road]}, {shapes: {heaven: sky-other-merged}}]\n"
    shapes = [
        square("road", 0, 2, 4, group_id=1),
        square("__hole__", 1, 2, 1, group_id=1),
        square("heaven", 0, 0, 3),
        square("box", 4, 0, 2),
    ]
    assert stuff(tmp_path, yaml, *shapes) == [
        [SKY, SKY, SKY, 0, 0, 0],
        [SKY, SKY, SKY, 0, 0, 0],
        [ROAD, SKY, ROAD, ROAD, 0, 0],  # road was drawn first; it has a hole
        [ROAD, ROAD, ROAD, ROAD, 0, 0],
    ]
    dataset = draw_dataset(tmp_path, {"a": shapes}, yaml=NAME + yaml)
    assert dataset.config.labels == ("box", "disc", "road", "heaven", "__ignore__", "__hole__")
    rules = {finding.rule for finding in check_dataset(dataset).findings}
    assert not rules & {"label-unknown", "label-typo", "hole-alone", "thing-hidden"}


def test_shapes_of_stuff_that_the_set_lacks_are_an_error(tmp_path: Path) -> None:
    message = problem(tmp_path, "stuff_sources: [{shapes: {way: raod}}]")
    expected = (
        "shapes: way: expected a stuff category of the set, found 'raod'; did you mean 'road'?"
    )
    assert f"stuff_sources[0]: {expected}" in message


def predicted(path: Path, *scores: float) -> Path:
    """Sky over road, a person in the first column, with these scores."""
    ids, categories = (1, 2, 3), (3, ROAD, PERSON)
    segments = [
        {"id": i, "category_id": c, "score": s}
        for i, c, s in zip(ids, categories, scores, strict=True)
    ]
    return panoptic(path, halves(1, 2, left=3), segments)


def test_predicted_stuff_is_used_from_its_confidence_on(tmp_path: Path) -> None:
    predicted(tmp_path / "p.json", 0.5, 0.4, 0.9)
    sources = "stuff_sources: [{prediction: p.json%s}]"
    assert stuff(tmp_path, sources % "") == halves(SKY, 0, left=0)
    assert stuff(tmp_path, sources % ", confidence: 0.3") == halves(SKY, ROAD, left=0)


def test_a_predicted_thing_is_void_and_no_later_source_fills_it(tmp_path: Path) -> None:
    predicted(tmp_path / "p.json", 0.9, 0.1, 0.9)
    grey(tmp_path / "maps/a.png", halves(ROAD, ROAD))
    yaml = "stuff_sources: [{prediction: p.json}, {label_maps: maps}]"
    assert stuff(tmp_path, yaml) == halves(SKY, ROAD, left=0)
    predicted(tmp_path / "p.json", 0.9, 0.1, 0.2)  # not sure of the person: the map decides
    assert stuff(tmp_path, yaml) == halves(SKY, ROAD, left=ROAD)


def test_a_prediction_needs_scores(tmp_path: Path) -> None:
    panoptic(tmp_path / "p.json", halves(1, 1), [{"id": 1, "category_id": ROAD}])
    message = problem(tmp_path, "stuff_sources: [{prediction: p.json}]")
    assert "a.jpg: segment 1: expected a score, found none" in message


def test_the_first_source_with_information_decides(tmp_path: Path) -> None:
    grey(tmp_path / "m1/a.png", halves(0, SKY, left=RIVER))
    grey(tmp_path / "m2/a.png", halves(ROAD, ROAD))
    yaml = "stuff_sources: [{label_maps: m1}, {label_maps: m2}]"
    assert stuff(tmp_path, yaml) == halves(ROAD, SKY, left=0)  # a river is not a road


def test_groups_join_stuff_and_own_stuff_has_names_of_its_own(tmp_path: Path) -> None:
    grey(tmp_path / "maps/a.png", halves(WOOD_FLOOR, RUG, left=GRAVEL))
    grey(tmp_path / "mine/a.png", halves(5, 5))
    yaml = """\
own_stuff: [puddle]
stuff_groups: {floor: [floor-wood, rug-merged], dirt-merged: [gravel]}
stuff_sources: [{label_maps: maps}]
"""
    floor = 2001
    assert stuff(tmp_path, yaml) == halves(floor, floor, left=194)
    yaml = yaml.replace("label_maps: maps", "label_maps: mine, table: {5: puddle}")
    assert stuff(tmp_path, yaml) == halves(1001, 1001)
    yaml = yaml.replace("puddle}", "floor}")
    assert stuff(tmp_path, yaml) == halves(floor, floor)


def test_inputs_determine_the_stuff_and_a_reader_can_be_pickled(tmp_path: Path) -> None:
    predicted(tmp_path / "p.json", 0.9, 0.9, 0.9)
    grey(tmp_path / "maps/a.png", halves(ROAD, ROAD))
    yaml = "stuff_sources: [{prediction: p.json}, {label_maps: maps}, {shapes: [road]}]"
    dataset, opened = reader(tmp_path, yaml)
    photo = dataset.images / "a.jpg"
    inputs = opened.inputs(photo)
    assert tmp_path / "maps/a.png" in inputs and tmp_path / "p/one.png" in inputs
    assert tmp_path / "p.json" not in inputs
    again = pickle.loads(pickle.dumps(opened))
    assert again.inputs(photo) == inputs
    assert np.array_equal(
        again.read(photo, (), height=H, width=W), opened.read(photo, (), height=H, width=W)
    )
    predicted(tmp_path / "p.json", 0.9, 0.9, 0.8)
    assert reader(tmp_path, yaml)[1].inputs(photo) != inputs
    predicted(tmp_path / "p.json", 0.9, 0.9, 0.9)
    assert reader(tmp_path, yaml)[1].inputs(photo) == inputs
    stricter = yaml.replace("p.json}", "p.json, confidence: 0.7}")
    assert reader(tmp_path, stricter)[1].inputs(photo) != inputs


def test_another_photo_in_the_file_does_not_change_the_inputs(tmp_path: Path) -> None:
    path = predicted(tmp_path / "p.json", 0.9, 0.9, 0.9)
    yaml = "stuff_sources: [{prediction: p.json}]"
    dataset, opened = reader(tmp_path, yaml)
    before = opened.inputs(dataset.images / "a.jpg")
    value = json.loads(path.read_text())
    value["images"].insert(0, {"id": 1, "file_name": "0.jpg", "height": H, "width": W})
    value["images"][1]["id"] = value["annotations"][0]["image_id"] = 2
    path.write_text(json.dumps(value, indent=1))
    assert reader(tmp_path, yaml)[1].inputs(dataset.images / "a.jpg") == before
