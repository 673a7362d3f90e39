"""Kill commands that write to a run or to FiftyOne at random moments, and complete them.

    .venv/bin/python -m benchmarks.kills_of_runs                     20 kills of each command
    .venv/bin/python -m benchmarks.kills_of_runs 5 --only predict    5 kills of one

`benchmarks.kills` says what must hold. Of a training run, the log without times and the weights of
all checkpoints are compared; of FiftyOne, what it stores about each photo, without ids and times.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import fiftyone as fo
import torch

from annotation.dataset import open_dataset
from base.files import digest
from benchmarks.kills import Case, draw, main
from conversion.building.build import convert
from conversion.building.check import check
from curation.app.database import connect
from curation.loading.load import fiftyone_name, load_dataset
from curation.review.review import review
from detr.config import RunConfig
from detr.prediction.predict import predict
from detr.prediction.thresholds import Thresholds
from detr.training.train import StageOption, train
from detr.weights.checkpoint import load_checkpoint
from labelme_panoptic_detr.evaluation import report
from tests.curation.app.test_failing_servers import running_mongod
from tests.detr.drawn import draw_set
from tests.detr.training.runs import CONFIG, FAST_KILLED, read_log, run_config
from tests.drawn import free_port
from tests.predicted import run_that_predicts

TINY = run_config(CONFIG, epochs=4, mask_epochs=4)
_WITHOUT = {"_id", "id", "created_at", "last_modified_at", "_dataset_id"}


def training(root: Path, config: RunConfig, stage: StageOption) -> None:
    """Train a stage of `run/` in the folder."""
    torch.set_num_threads(1)
    train(root / "panoptic", root / "run", config, stage)


def state_of_run(root: Path) -> dict[str, Any]:
    """Return the log without times, and digests of the weights, by file. Reads all checkpoints."""
    run = root / "run"
    found: dict[str, Any] = {"log": read_log(run) if (run / "log.jsonl").is_file() else None}
    for path in sorted(run.glob("checkpoints/[!.]*.pt")):
        model = load_checkpoint(path).model
        found[path.name] = digest(*(model[name].numpy().tobytes() for name in sorted(model)))
    return found


def training_case(name: str, config: RunConfig, stage: StageOption, *, first: bool = False) -> Case:
    """A training of one stage; `first` is whether boxes are trained before."""

    def prepare(root: Path) -> None:
        draw_set(root / "panoptic")
        if first:
            training(root, config, "boxes")

    command = partial(training, config=config, stage=stage)
    return Case(name, prepare, command, state_of_run)


def predicting(root: Path) -> None:
    """Predict the test photos of the trained run in the folder."""
    torch.set_num_threads(1)
    predict(root / "run", root / "panoptic/test", root / "out", Thresholds(0.0, 0.0), pictures=True)


def trained(root: Path) -> None:
    """Fill the folder with a built set and a trained run."""
    draw_set(root / "panoptic", test=60)
    training(root, run_config(CONFIG, epochs=1, mask_epochs=1), "both")


def drawn(root: Path) -> None:
    """Fill the folder with a set and a run that predicts it."""
    draw(root / "set")
    convert(open_dataset(root / "set"))
    run_that_predicts(open_dataset(root / "set"), root / "run", "test")


def reporting(root: Path) -> None:
    """Write the report of the run in the folder."""
    report(root / "run", dataset=root / "set")


def curate(root: Path) -> None:
    """Load the set in the folder."""
    dataset = open_dataset(root / "set")
    load_dataset(dataset, check(dataset))


def curate_changed(root: Path) -> None:
    """Load the set in the folder, and change all its drawings."""
    forget_set(root)
    curate(root)
    draw(root / "set", first=20)
    convert(open_dataset(root / "set"))


def forget_set(root: Path) -> None:
    """Delete the set of the folder from FiftyOne."""
    connect()
    name = fiftyone_name(open_dataset(root / "set"))
    if fo.dataset_exists(name):
        fo.delete_dataset(name)


def curate_anew(root: Path) -> None:
    """Load the set in the folder, which FiftyOne does not have yet."""
    forget_set(root)
    curate(root)


def reviewing(root: Path) -> None:
    """Review the predictions of the run in the folder."""
    dataset, run = open_dataset(root / "set"), root / "run"
    truth = dataset.panoptic / "annotations/panoptic_test.json"
    review(dataset, truth, run / "predictions/panoptic.json", run=run)


def state_of_fiftyone(root: Path) -> Any:
    """Return what FiftyOne stores about the set, and the files of masks. Reads all masks."""
    connect()
    name = fiftyone_name(open_dataset(root / "set"))
    if not fo.dataset_exists(name):
        return None
    samples = fo.load_dataset(name)
    masks = [path for path in (root / "set/fiftyone").rglob("*") if path.is_file()]
    files = {str(path): path.read_bytes() for path in masks}
    stored = sorted((_plain(sample.to_dict()) for sample in samples), key=str)
    return stored, samples.info, samples.list_saved_views(), files


def _plain(value: Any) -> Any:
    """Remove ids and times from what FiftyOne stores."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if key not in _WITHOUT}
    return list(map(_plain, value)) if isinstance(value, list) else value


def cases(place: Path) -> list[Case]:
    """Return all cases."""
    loaded = (drawn, curate, state_of_fiftyone)
    return [
        training_case("train boxes", TINY, "boxes"),
        training_case("train masks", TINY, "masks", first=True),
        training_case("train fast", run_config(FAST_KILLED), "joint"),
        Case("predict", trained, predicting),
        Case("report", drawn, reporting),
        Case("curate", *loaded, forget_set),
        Case("curate, changed drawings", *loaded, curate_changed),
        Case("review", drawn, reviewing, state_of_fiftyone, curate_anew),
    ]


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as folder,
        running_mongod(Path(folder), free_port()) as (uri, _),
    ):
        fo.config.database_uri = uri
        main(cases)
