"""The list of `label-errors` in the App: its fields and view follow the list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from annotation.dataset import Dataset
from base.errors import InputError
from commands.curation import curate, review
from conversion.building.build import convert
from conversion.building.check import check
from curation.app.fields import SUSPECTS, SUSPICION, SUSPICIOUS_LABELS
from curation.decisions.decide import decide
from curation.loading.load import load_dataset
from detr.config import RunConfig, TrainConfig, write_run
from evaluation.label_errors.listing import suspects_inputs
from evaluation.label_errors.suspects import FILE_NAME, Suspect, SuspectList, write_suspects
from tests.curation.conftest import GOOD, predict, truth_of
from tests.drawn import draw_photo, free_port

SWAPPED = Suspect("a.jpg", "swapped", 0.5, "box", "disc", (20, 4, 8, 8), 2, 3, 0.9)
MISSING = Suspect("b.jpg", "missing", 0.75, "disc", None, (10, 15, 4, 6), None, 1, 0.0)
PLACED = Suspect("a.jpg", "badly placed", 0.25, "disc", None, (30, 20, 6, 6), 4, 5, 0.4)


def load(dataset: Dataset, folder: Path | None = None) -> fo.Dataset:
    convert(dataset)
    return fo.load_dataset(load_dataset(dataset, check(dataset), label_errors=folder))


def write(dataset: Dataset, folder: Path, *suspects: Suspect) -> Path:
    """Write a list about the current ground truth into a folder."""
    convert(dataset)
    inputs = suspects_inputs(dataset.panoptic, folder / "predictions" / "panoptic.json")
    write_suspects(folder / FILE_NAME, SuspectList(inputs, suspects))
    return folder


def shown(samples: fo.Dataset) -> list[tuple[str, float, list[str]]]:
    """The photos of the view, with their suspicion and the labels of their suspects."""
    view = samples.load_saved_view(SUSPICIOUS_LABELS)
    return list(
        zip(*view.values(["photo", SUSPICION, f"{SUSPECTS}.detections.label"]), strict=True)
    )


def test_suspects_are_fields_and_a_view_that_follow_the_list(
    drawn: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(drawn, tmp_path / "labels", MISSING, SWAPPED, PLACED)
    samples = load(drawn, folder)
    both = ["swapped: box or disc", "badly placed: disc"]
    assert shown(samples) == [("b.jpg", 0.75, ["missing: disc"]), ("a.jpg", 0.5, both)]
    sample = samples.load_saved_view(SUSPICIOUS_LABELS).last()
    first = sample[SUSPECTS].detections[0]
    assert first.bounding_box == [20 / 40, 4 / 30, 8 / 40, 8 / 30]
    assert (first.confidence, first.kind) == (0.5, "swapped")
    assert len(sample["ground_truth"].detections) == 3
    assert decide(drawn, check(drawn)).problems == ()
    groups = {group.name: group.paths for group in samples.app_config.sidebar_groups}
    assert groups["label errors"] == [SUSPICION, SUSPECTS]
    assert SUSPECTS in samples.app_config.active_fields.paths

    capsys.readouterr()
    load(drawn)
    assert "up to date" in capsys.readouterr().out
    samples.match_tags("train").tag_labels("seen", label_fields=[SUSPECTS])
    samples.match_tags("test").tag_labels("seen", label_fields=[SUSPECTS])
    write(drawn, folder, replace(SWAPPED, score=0.9))
    assert shown(load(drawn)) == [("a.jpg", 0.9, both[:1])]
    assert samples.count_label_tags() == {"seen": 1}
    assert samples.exists(SUSPECTS).values("photo") == ["a.jpg"]

    samples.delete_sample_field(SUSPICION)
    assert shown(load(drawn)) == [("a.jpg", 0.9, both[:1])]


def test_lists_that_are_outdated_or_gone_and_unknown_photos_are_reported(
    drawn: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = [replace(SWAPPED, file_name=name) for name in ("c.jpg", "gone.jpg")]
    folder = write(drawn, tmp_path / "labels", SWAPPED, *unknown)
    (folder / "fold-1").mkdir()
    (folder / "folds.json").write_text("{}")
    load(drawn, folder)
    path, printed = folder / FILE_NAME, capsys.readouterr().out
    assert f"{path}: left out: 2 photos not in the data set, such as c.jpg\n" in printed
    assert "annotations have changed" not in printed

    draw_photo(drawn.root, "b", GOOD[:2])
    for _ in range(2):  # also if everything is up to date
        assert shown(load(drawn)) == [("a.jpg", 0.5, ["swapped: box or disc"])]
        command = f"pipeline.py label-errors {drawn.root} --out {folder} --folds 1\n"
        expected = f"{path}: annotations have changed since; to rank the labels again: {command}"
        assert expected in capsys.readouterr().out

    path.unlink()
    samples = load(drawn)
    gone = f"suspicious labels are no longer shown: {path}: cannot be read: No such file"
    assert gone in capsys.readouterr().out
    assert not {SUSPECTS, SUSPICION} & set(samples.get_field_schema())
    assert not samples.has_saved_view(SUSPICIOUS_LABELS)
    load(drawn)
    assert "no longer shown" not in capsys.readouterr().out
    with pytest.raises(InputError, match=r"suspects.json: missing; expected the folder of `label-"):
        load(drawn, folder)


def test_curate_and_review_rank_the_labels_first_and_open_with_the_suspects(
    drawn: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    convert(drawn)
    run, folder = tmp_path / "run", tmp_path / "labels"
    predict(drawn, run / "predictions")
    write_run(run, RunConfig(str(drawn.root), TrainConfig()))
    for number in (1, 2, 3):  # of a `label-errors --folds 3` that was stopped
        (folder / f"fold-{number}").mkdir(parents=True)
    (folder / "folds.json").write_text("{}")
    ranked, opened = list[int](), list[str]()

    def rank(dataset: Dataset, out: Path, *, folds: int) -> None:
        ranked.append(folds)
        write(dataset, out, SWAPPED, MISSING, PLACED)

    def note_view(name: str, *, view: str, **options: Any) -> None:
        opened.append(view)

    monkeypatch.setattr("labelme_panoptic_detr.label_errors.find_label_errors", rank)
    monkeypatch.setattr("labelme_panoptic_detr.embeddings.embed_photos", None)
    monkeypatch.setattr("curation.app.app.open_app", note_view)
    review(run, port=free_port(), label_errors=folder)
    curate(drawn.root, app=True, port=free_port(), label_errors=folder)
    review(run, port=free_port())
    assert ranked == [3]
    assert f"{folder}: has no suspects.json yet: training models" in capsys.readouterr().out
    assert opened == [SUSPICIOUS_LABELS, SUSPICIOUS_LABELS, "worst photos"]
    view = fo.load_dataset(drawn.config.name).load_saved_view(SUSPICIOUS_LABELS)
    boxes = {
        sample["photo"]: [
            [round(v * s) for v, s in zip(d.bounding_box, (40, 30) * 2, strict=True)]
            for d in sample[SUSPECTS].detections
        ]
        for sample in view
    }
    assert boxes == {"b.jpg": [[10, 15, 4, 6]], "a.jpg": [[20, 4, 8, 8], [30, 20, 6, 6]]}
    assert list(boxes) == ["b.jpg", "a.jpg"]
    (photo,) = truth_of(drawn).photos
    assert view.exists("pq").values("photo") == [photo.file_name]  # the review is there, too
