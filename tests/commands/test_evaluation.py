"""The subcommands that score a run, and how they find its data set."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from base.errors import InputError
from commands.evaluation import evaluate
from conversion.building.build import convert
from conversion.coco.panoptic_file import read_panoptic, write_panoptic
from conversion.coco.png import write_segment_ids
from labelme_panoptic_detr.datasets import open_dataset, run_files
from tests.drawn import draw_dataset, square
from tests.predicted import run_that_predicts


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A converted set in `set/`, and a run in `run/` that predicts exactly its test split."""
    names = {f"p{n}": [square("box", 2 + n, 2, 9)] for n in range(4)}
    panoptic = draw_dataset(tmp_path / "set", names)
    convert(panoptic)
    run_that_predicts(panoptic, tmp_path / "run", "test")
    return tmp_path


def test_a_run_is_scored_like_its_two_files(root: Path) -> None:
    evaluate((root / "run",), json=root / "run.json")
    truth = root / "set/panoptic/annotations/panoptic_test.json"
    evaluate((truth, root / "run/predictions/panoptic.json"), json=root / "files.json")
    scores = json.loads((root / "run.json").read_text())
    assert scores == json.loads((root / "files.json").read_text())
    assert scores["things"]["pq"] == 1
    assert [photo["price"] for photo in scores["photos"].values()] == [0, 0]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ((), "expected RUN, or TRUTH.json PREDICTION.json, found nothing"),
        (("a.json",), "expected RUN, or TRUTH.json PREDICTION.json, found a.json"),
        (("a", "b", "c"), "expected RUN, or .* found a b c"),
    ],
)
def test_other_paths_are_an_error(paths: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(tuple(map(Path, paths)))


def test_two_runs_are_compared(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status is 0 for equal predictions, and 1 for a prediction without the things."""
    shutil.copytree(root / "run", root / "worse")
    evaluate((root / "run", root / "worse"), compare=True, json=root / "changes.json")
    assert json.loads((root / "changes.json").read_text())["is_worse"] is False
    path = root / "worse/predictions/panoptic.json"
    truth = read_panoptic(path)
    things = {c.id for c in truth.categories if c.isthing}
    photos = []
    for photo in truth.photos:
        ids = truth.segment_ids(photo)
        kept = tuple(s for s in photo.segments if s.category_id not in things)
        ids[~np.isin(ids, [s.id for s in kept])] = 0
        write_segment_ids(truth.png_folder / photo.png_name, ids)
        photos.append(replace(photo, segments=kept))
    write_panoptic(replace(truth, photos=tuple(photos)))
    with pytest.raises(SystemExit) as stopped:
        evaluate((root / "run", root / "worse"), compare=True)
    assert stopped.value.code == 1
    assert "a significant drop" in capsys.readouterr().out
    evaluate((root / "worse", root / "run"), compare=True)  # a gain
    truth_json = root / "set/panoptic/annotations/panoptic_test.json"
    with pytest.raises(InputError, match=r"expected RUN_A RUN_B, or TRUTH.json A.json B.json"):
        evaluate((truth_json, path), compare=True)


def test_a_moved_data_set_is_found_or_asked_for(root: Path) -> None:
    assert run_files(root / "run").dataset.root == root / "set"
    (root / "both").mkdir()
    for name in ("run", "set"):
        (root / name).rename(root / "both" / name)
    run = root / "both/run"
    assert run_files(run).dataset.root == root / "both/set"
    (root / "both/set").rename(root / "moved")
    expected = f"expected the data set of this run at {root}/both/set, found nothing; .*--dataset"
    with pytest.raises(InputError, match=f"{run}/config.yaml: dataset: {expected}"):
        run_files(run)
    assert run_files(run, root / "moved").dataset.root == root / "moved"
    evaluate((run,), json=root / "run.json", dataset=root / "moved")
    assert json.loads((root / "run.json").read_text())["things"]["pq"] == 1


def test_wrong_outputs_are_refused_before_the_work(root: Path) -> None:
    with pytest.raises(InputError, match=f"--json: expected a file to write, found .* {root}"):
        evaluate((Path("nowhere"),), json=root)
    (root / "file").touch()
    with pytest.raises(InputError, match=f"--json: .* but {root}/file is a file"):
        evaluate((Path("nowhere"),), json=root / "file/scores.json")
    message = f"--json: expected a new file, or one whose name ends with .json, found {root}/file"
    with pytest.raises(InputError, match=message):
        evaluate((Path("nowhere"),), json=root / "file")


def test_another_split_is_scored_when_it_is_named(root: Path) -> None:
    run = root / "run"
    with pytest.raises(InputError, match=r"train/predictions/panoptic.json: missing.*/train"):
        run_files(run, split="train")
    with pytest.raises(InputError, match="expected the split 'val', found the splits test, train"):
        run_files(run, split="val")
    run_that_predicts(open_dataset(root / "set"), run, "train")
    evaluate((run,), split="train", json=root / "train.json")
    assert json.loads((root / "train.json").read_text())["things"]["pq"] == 1
    truth = root / "set/panoptic/annotations/panoptic_train.json"
    files = (truth, run / "train/predictions/panoptic.json")
    with pytest.raises(InputError, match="--split: expected only with RUN"):
        evaluate(files, split="train")
