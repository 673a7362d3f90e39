"""The examples of docs/python.md run from top to bottom on a tiny yard, and do what they say."""

from __future__ import annotations

import ast
import contextlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import labelme_panoptic_detr as lpd
from evaluation.scores.scores import Scores
from pipeline import COMMANDS
from tests.labelme_panoptic_detr.tiny import TINY
from tests.test_imports import parse

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/python.md").read_text()
SHOWN = ("validate", "convert", "train", "predict", "evaluate", "report")  # in examples
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run all examples in one namespace, in a folder with a tiny sample set; return the names."""
    folder = tmp_path_factory.mktemp("python")
    lpd.render_yard(folder / "datasets/yard", images=12, seed=5)
    (folder / "datasets/yard/train.yaml").write_text(TINY)
    found: dict[str, Any] = {"__name__": "example"}
    with contextlib.chdir(folder):
        exec("from __future__ import annotations\n" + "\n".join(EXAMPLES), found)
    return {**found, "folder": folder}


def test_training_calls_back_after_every_epoch(names: dict[str, Any]) -> None:
    assert [line.epoch for line in names["read_log"](names["folder"] / "runs/first/log.jsonl")] == [
        1,
        2,
    ]


def test_a_prediction_has_segments_that_agree_with_the_map(names: dict[str, Any]) -> None:
    found = names["found"]
    assert found.segments
    for segment in found.segments:
        assert np.array_equal(segment.mask, found.ids == segment.id)
        rows, columns = np.nonzero(segment.mask)
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert (segment.xyxy, segment.area) == (box, len(rows))
        assert 0 < segment.score <= 1
    assert {segment.id for segment in found.segments} == set(np.unique(found.ids)) - {0}


def test_pictures_have_the_size_of_the_photo_or_less(names: dict[str, Any]) -> None:
    found, folder = names["found"], names["folder"]
    assert Image.open(folder / "predicted.png").size == found.pixels.shape[1::-1]
    assert max(Image.open(folder / "true.png").size) == 200
    assert not np.array_equal(found.draw(), found.pixels)


def test_annotations_and_boxes_are_shown(names: dict[str, Any]) -> None:
    assert names["drawn"].pixels.shape == (270, 360, 3)
    assert names["boxes"].pixels.shape == (240, 2 * 320 + 6, 3)
    boxes = [one.xyxy for one in names["true"].instances]
    assert boxes == [one.xyxy for one in names["true"].segments if one.category.isthing]


def test_arrays_and_paths_give_the_same_prediction(names: dict[str, Any]) -> None:
    assert len(names["counts"]) == 3
    again = names["model"].predict(names["found"].pixels)
    assert np.array_equal(again.ids, names["found"].ids)


def test_supervision_has_the_same_segments(names: dict[str, Any]) -> None:
    found, detections = names["found"], names["detections"]
    assert len(detections) == len(found.segments)
    for number, segment in enumerate(found.segments):
        assert tuple(detections.xyxy[number]) == segment.xyxy
        assert np.array_equal(detections.mask[number], segment.mask)
        assert detections.confidence[number] == segment.score
        assert detections.data["class_name"][number] == segment.category.name


def test_a_run_is_evaluated_and_reported(names: dict[str, Any]) -> None:
    scores: Scores = names["evaluation"].scores
    assert 0 <= scores.quality.all.pq <= 1
    assert len(scores.matches) == names["built"].photos["test"]
    assert (names["folder"] / names["page"]).is_file()
    assert len(list((names["folder"] / names["pictures"]).iterdir())) > 1


def test_sets_are_exported_imported_and_collected(names: dict[str, Any]) -> None:
    exported, imported, collected = names["exported"], names["imported"], names["collected"]
    assert exported.photos == len(imported.written) == len(collected.added) == 12
    files = (names["folder"] / "datasets/yard/labelme").glob("*.json")
    drawn = sum(len(lpd.read_annotation(file).shapes) for file in files)
    assert exported.instances <= drawn == sum(one.shapes for one in imported.written)
    sides = [
        max(Image.open(photo).size)
        for photo in (names["folder"] / collected.root / "images").iterdir()
    ]
    assert sides == [200] * 12


def test_the_functions_of_the_table_have_these_arguments() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| `([\w.]+)` \| `(.+)` \|$", TEXT, re.MULTILINE)
    assert sorted({*(command for command, _, _ in rows), *SHOWN}) == sorted(COMMANDS)
    for _, module, call in rows:
        name = call.partition("(")[0]
        if module == lpd.__name__:
            module = getattr(lpd, name).__module__
        path = Path(module.replace(".", "/")).with_suffix(".py")
        (found,) = (
            node
            for node in parse(path).body
            if isinstance(node, ast.FunctionDef) and node.name == name
        )
        for argument in ast.walk(found.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        expected = ast.parse(f"def {call}: ...").body[0]
        assert isinstance(expected, ast.FunctionDef)
        assert ast.unparse(found.args) == ast.unparse(expected.args), name
        assert ast.dump(found.returns) == ast.dump(expected.returns), name  # type: ignore[arg-type]
