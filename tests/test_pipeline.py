"""One full run of the loop with make on a dozen tiny scenes, then the documented commands."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fiftyone.utils.coco import COCODetectionDatasetImporter

from detr.model.segmentation import DETRsegm
from detr.prediction.predictor import find_model_file, load_model
from detr.weights.published import Segmenter
from tests.conftest import Run
from tests.detr.prediction.exported import check_agreement
from tests.detr.random_weights import SMALL
from tests.detr.random_weights import save as save_weights
from tests.drawn import free_port

ROOT = Path(__file__).parents[1]
PIPELINE = (sys.executable, str(ROOT / "pipeline.py"))
DOCUMENTED = (ROOT / "docs/commands.md").read_text()
TINY = """\
variant: detr
backbone: efficientnet_lite0
lr_backbone: 0
hidden_dim: 128
enc_layers: 1
dec_layers: 1
dim_feedforward: 128
num_queries: 20
batch_size: 4
lr: 0.0005
epochs: 2
mask_epochs: 2
min_size: 96
max_size: 128
train_sizes: [96]
num_workers: 0
threshold: 0.1
"""


def call(*command: object, env: dict[str, str]) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def environment(folder: Path) -> dict[str, str]:
    """The environment for commands whose FiftyOne keeps its database in this folder."""
    return {**os.environ, "FIFTYONE_DATABASE_DIR": str(folder / "mongo"), "COLUMNS": "120"}


@dataclass(frozen=True)
class Made:
    """The data set and the run that `make dataset train` made, and its output."""

    dataset: Path
    run: Path
    env: dict[str, str]
    output: str

    @property
    def make(self) -> tuple[str, ...]:
        return ("make", "--no-print-directory", f"DATASET={self.dataset}", f"RUN={self.run}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    dataset, env = folder / "tiny", environment(folder)
    call(*PIPELINE, "sample", dataset, "--images", 12, "--seed", 5, env=env)
    (dataset / "train.yaml").write_text(TINY)
    made = Made(dataset, folder / "run", env, "")
    return replace(made, output=call(*made.make, "dataset", "train", env=env))


def times(*folders: Path) -> dict[Path, int]:
    files = (path for folder in folders for path in folder.rglob("*"))
    return {path: path.stat().st_mtime_ns for path in files if path.is_file()}


def documented_commands(values: dict[str, object]) -> list[list[str]]:
    """List the pipeline.py commands of docs/commands.md in order, with values for placeholders."""
    lines = re.findall(r"^\.venv/bin/python (pipeline\.py .*)$", DOCUMENTED, re.MULTILINE)
    commands = (line.partition("#")[0].split()[1:] for line in lines)
    return [[str(values.get(word, word)) for word in words] for words in commands]


# Starting a program takes seconds, most of them for imports, so one process runs them all.
RUN_ALL = """
import json, sys
import pipeline
for words in json.load(sys.stdin):
    sys.argv[1:] = words
    pipeline.main()
"""


def call_all(commands: list[list[str]], *, env: dict[str, str]) -> str:
    """Run subcommands of pipeline.py one after the other in one process; return the output."""
    program, words = [sys.executable, "-c", RUN_ALL], json.dumps(commands)
    done = subprocess.run(program, cwd=ROOT, env=env, input=words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def draw_coco(folder: Path) -> Path:
    """Write a COCO set of one photo with one polygon, with the folders that CVAT creates."""
    for part in ("images", "annotations"):
        (folder / part).mkdir(parents=True)
    cv2.imwrite(str(folder / "images/a.jpg"), np.zeros((30, 40, 3), np.uint8))
    polygon = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[2, 2, 20, 2, 9, 20]]}
    data = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}],
        "categories": [{"id": 1, "name": "box"}],
        "annotations": [{**polygon, "bbox": [2, 2, 18, 18], "area": 162, "iscrowd": 0}],
    }
    (folder / "annotations/instances_default.json").write_text(json.dumps(data))
    return folder


def test_make_trains_scores_and_reports(made: Made) -> None:
    assert "9 train" in made.output or "10 train" in made.output
    log = [json.loads(line) for line in (made.run / "log.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["epoch"]) for line in log] == [
        *(("boxes", 1), ("boxes", 2), ("masks", 1), ("masks", 2))
    ]
    for line in log:
        assert {"loss", "loss_ce", "loss_bbox", "loss_giou"} <= line["train"].keys()
        assert line["train"].keys() == line["test"].keys()
    assert {"loss_mask", "loss_dice"} <= log[-1]["test"].keys()
    scores = json.loads((made.run / "scores.json").read_text())
    assert {"all", "things", "stuff", "categories", "box_ap", "mask_ap", "errors"} < set(scores)
    html = (made.run / "report/index.html").read_text()
    manifest = json.loads((made.dataset / "panoptic/manifest.json").read_text())
    assert html.count('class="row"') == manifest["result"]["photos"]["test"]


def test_fiftyone_reads_the_instances_that_were_built(made: Made) -> None:
    labels_path = made.dataset / "panoptic/annotations/instances_train.json"
    importer = COCODetectionDatasetImporter(
        data_path=str(made.dataset / "panoptic/train"),
        labels_path=str(labels_path),
        label_types=["detections", "segmentations"],
    )
    with importer:
        detections = sum(len(labels["segmentations"].detections) for _, _, labels in importer)
    assert detections == len(json.loads(labels_path.read_text())["annotations"])


def test_make_review_opens_the_app(made: Made) -> None:
    open_review(*made.make, env=made.env)


def test_nothing_is_rebuilt_by_the_same_commands(made: Made) -> None:
    """These are the commands of `make dataset train review`."""
    dataset, run = made.dataset, made.run
    truth, found = dataset / "panoptic/annotations/panoptic_test.json", run / "predictions"
    scores = ("--json", run / "scores.json")
    commands: list[tuple[object, ...]] = [
        *((step, dataset) for step in ("validate", "convert", "curate")),
        ("train", dataset, "--run", run),
        ("predict", run, dataset / "panoptic/test", "--out", found),
        ("evaluate", truth, found / "panoptic.json", *scores),
        ("report", run),
        ("review", run, "--no-app"),
    ]
    before = times(dataset, run)
    again = call_all([[str(word) for word in words] for words in commands], env=made.env)
    assert "already trained" in again
    after = times(made.dataset, made.run)
    rebuilt = {path.name for path in after if after[path] != before.get(path)}
    assert rebuilt <= {"scores.json", "log.jsonl", "config.yaml"}


@pytest.fixture(scope="module")
def documented(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the documented commands; return the folder of their new files."""
    tmp_path = tmp_path_factory.mktemp("documented")
    values = {
        **{"OUT": tmp_path / "out", "600": 12, "DATASET": made.dataset, "RUN": made.run},
        **{"SOURCE": made.dataset / "images", "NEW": tmp_path / "new"},
        **{"COCO": draw_coco(tmp_path / "coco"), "IMPORTED": tmp_path / "imported"},
        "findings.json": tmp_path / "findings.json",
        "findings.html": tmp_path / "findings.html",
        "health.html": tmp_path / "health.html",
        "WEIGHTS": save_weights(tmp_path / "w.pth", SMALL, 250, masks=True),
        "EXPORTED": tmp_path / "exported",
        "IMAGES": made.dataset / "panoptic/test",
        "PREDICTED": tmp_path / "predicted",
        "model.onnx": tmp_path / "model.onnx",
        "model.pt": tmp_path / "model.pt",
        "TRUTH.json": made.dataset / "panoptic/annotations/panoptic_test.json",
        "PREDICTION.json": tmp_path / "predicted/panoptic.json",
        "scores.json": tmp_path / "scores.json",
        "gallery.md": tmp_path / "gallery.md",
        "RUN_A": made.run,
        "RUN_B": made.run,
    }
    commands = documented_commands(values)
    assert len(commands) > 10
    call_all(commands, env=made.env)
    return tmp_path


def test_the_documented_commands_run_in_order(made: Made, documented: Path) -> None:
    stuff = json.loads((made.dataset / "stuff_predicted/panoptic.json").read_text())
    assert len(stuff["annotations"]) == 12
    assert len(stuff["categories"]) == 133
    for name in ("findings.html", "scores.json", "model.onnx", "exported/data.yaml", "gallery.md"):
        assert (documented / name).is_file(), name


def test_the_exported_model_agrees_with_the_run(made: Made, documented: Path) -> None:
    loaded = load_model(find_model_file(made.run))
    assert isinstance(loaded.model, DETRsegm)
    model = Segmenter(loaded.model.detr, loaded.config)
    model.load_state_dict(loaded.model.state_dict())
    metadata = check_agreement(documented / "model.onnx", model.eval())
    assert metadata["backbone"] == "efficientnet_lite0"


def open_review(*make: str, env: dict[str, str]) -> None:
    """Run `make review` until it prints the address of the App; then end it with Ctrl-C."""
    headless = {k: v for k, v in env.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    program = subprocess.Popen(
        [*make, "review", f"PORT={free_port()}"],
        cwd=ROOT,
        env=headless,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that Ctrl-C reaches make and its children, but not the tests
    )
    assert program.stdout is not None
    lines = []
    for line in program.stdout:
        lines.append(line)
        if "App: http://127.0.0.1:" in line:
            os.killpg(program.pid, signal.SIGINT)
        if "App: stopped" in line:
            break
    program.wait(timeout=60)
    assert any("App: http://127.0.0.1:" in line for line in lines), lines
    assert "App: stopped" in lines[-1]


def test_validate_finds_every_planted_flaw(documented: Path, tmp_path: Path, run: Run) -> None:
    dataset, found = documented / "out", tmp_path / "findings.json"
    output = run("validate", dataset, "--json", found, status=1)
    findings = json.loads(found.read_text())["findings"]
    keys = {"rule", "severity", "file", "shape", "message", "fix", "others", "place", "twin"}
    assert set(findings[0]) == keys
    planted = json.loads((dataset / "flaws.json").read_text())["flaws"]
    assert len({flaw["rule"] for flaw in planted}) == 8
    place = ("rule", "file", "shape")
    assert {tuple(f[k] for k in place) for f in planted} == {
        tuple(f[k] for k in place) for f in findings if f["file"] != "dataset.yaml"
    }
    assert all(finding["file"] in output for finding in findings)
    assert "left out" in run("convert", dataset, status=1)
