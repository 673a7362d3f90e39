"""Yard is rendered completely, reproducibly and without unintended mistakes."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from shapely.geometry import Polygon

from annotation.dataset import open_dataset
from annotation.labelme.annotation import read_annotation
from annotation.labelme.geometry import outline
from annotation.rules.validate import check_dataset
from base.errors import InputError
from samples.yard.flaws import plant_flaws
from samples.yard.sample import render_yard

PHOTOS, SEED = 12, 7  # one of these photos has a rectangle


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("yard") / "yard"
    render_yard(root, images=PHOTOS, seed=SEED)
    return root


def test_every_photo_is_complete_and_has_no_findings(yard: Path) -> None:
    dataset = open_dataset(yard)
    checked = check_dataset(dataset)
    assert len(checked.annotations) == len(dataset.photos()) == PHOTOS
    # findings about dataset.yaml are expected: in so few photos, some categories are rare
    assert [f for f in checked.findings if f.file != "dataset.yaml"] == []
    for annotated in checked.annotations:
        assert annotated.photo is not None
        photo = cv2.imread(str(annotated.photo))
        label_map = yard / "stuff" / f"{annotated.photo.stem}.png"
        stuff = cv2.imread(str(label_map), cv2.IMREAD_UNCHANGED)
        assert photo is not None
        assert stuff is not None
        assert photo.shape == (240, 320, 3)
        assert stuff.shape == (240, 320)
        assert set(np.unique(stuff)) <= {0, 171, 184, 185, 187, 191, 194}


def test_shapes_look_drawn_by_hand(yard: Path) -> None:
    annotations = [read_annotation(path) for path in sorted((yard / "labelme").glob("*.json"))]
    shapes = [shape for annotation in annotations for shape in annotation.shapes]
    labels = Counter(shape.label for shape in shapes)
    assert len(labels) == 8
    assert 3 * PHOTOS <= len(shapes) <= 14 * PHOTOS
    assert {s.shape_type for s in shapes} >= {"polygon", "rectangle"}
    for shape in shapes:
        points = outline(shape)
        assert Polygon(points).is_valid
        assert points.min() >= 0
        assert points[:, 0].max() <= 320
        assert points[:, 1].max() <= 240
    parts = Counter(
        (index, shape.label, shape.group_id)
        for index, annotation in enumerate(annotations)
        for shape in annotation.shapes
        if shape.group_id is not None
    )
    assert parts
    assert min(parts.values()) >= 2
    border = sum(outline(s)[:, 0].min() < 2 or outline(s)[:, 0].max() > 318 for s in shapes)
    assert border > 0


def test_the_seed_determines_every_byte_and_a_stopped_run_is_resumed(
    yard: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    render_yard(again, images=2, seed=SEED)
    for file in ("images/yard_0001.jpg", "labelme/yard_0001.json", "stuff/yard_0001.png"):
        assert (again / file).read_bytes() == (yard / file).read_bytes()
    (again / "dataset.yaml").unlink()
    (again / "labelme/yard_0001.json").unlink()
    render_yard(again, images=2, seed=SEED)
    for file in ("images/yard_0001.jpg", "labelme/yard_0001.json"):
        assert (again / file).read_bytes() == (yard / file).read_bytes()


def test_a_dataset_yaml_of_another_command_does_not_make_a_set_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sample` was killed, then `validate` proposed a `dataset.yaml`."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("samples.yard.sample.sync_all", interrupted)
        render_yard(tmp_path / "set", images=1, seed=SEED)
    photo = tmp_path / "set/images/yard_0000.jpg"
    (tmp_path / "set/labelme/yard_0000.json").unlink()
    photo.unlink()
    (tmp_path / "set/dataset.yaml").write_text("things: [other]\n")
    render_yard(tmp_path / "set", images=1, seed=SEED)
    assert photo.exists()
    assert open_dataset(tmp_path / "set").config.name == "yard"


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_complete_set_is_not_rewritten_and_other_files_are_refused(
    yard: Path, tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in yard.rglob("*")}
    render_yard(yard, images=PHOTOS, seed=SEED)
    assert {path: path.stat().st_mtime_ns for path in yard.rglob("*")} == before
    with pytest.raises(InputError, match="contains another sample"):
        render_yard(yard, images=PHOTOS, seed=SEED + 1)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="did not write"):
        render_yard(tmp_path, images=2)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_only_the_listed_files_have_flaws(yard: Path, tmp_path: Path) -> None:
    root = tmp_path / "flaws"
    shutil.copytree(yard, root)
    plant_flaws(root, seed=SEED)
    flaws = json.loads((root / "flaws.json").read_text())["flaws"]
    assert len({flaw["rule"] for flaw in flaws}) == 8
    changed = {
        path.relative_to(root).as_posix()
        for path in (root / "labelme").glob("*.json")
        if path.read_bytes() != (yard / "labelme" / path.name).read_bytes()
    }
    missing = [flaw["file"] for flaw in flaws if flaw["rule"] == "annotation-orphan"]
    assert changed | set(missing) == {flaw["file"] for flaw in flaws}
    for file in missing:
        assert not (root / "images" / f"{Path(file).stem}.jpg").exists()
