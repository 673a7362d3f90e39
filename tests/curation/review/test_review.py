from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import fiftyone as fo
import pytest

from annotation.dataset import Dataset
from base.errors import InputError
from curation.app.fields import EVALUATIONS
from curation.review.review import review
from evaluation.errors.redraw import read_redraw, write_redraw
from evaluation.report.page import write_report
from tests.curation.conftest import (
    GOOD,
    PQ,
    Curate,
    drawn_in,
    load_checked,
    outcomes,
    predict,
    truth_of,
)
from tests.drawn import draw_photo


def reviewed(dataset: Dataset, prediction: Path) -> fo.Dataset:
    return fo.load_dataset(
        review(dataset, truth_of(dataset).json_path, prediction, run=prediction.with_name("first"))
    )


@dataclass(frozen=True)
class Loaded:
    """A set in FiftyOne with a reviewed prediction, for tests that change nothing."""

    dataset: Dataset
    prediction: Path
    samples: fo.Dataset


@pytest.fixture(scope="module")
def loaded(mongo: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("reviewed")
    with drawn_in(folder) as dataset:
        load_checked(dataset)
        prediction = predict(dataset, folder / "run")
        yield Loaded(dataset, prediction, reviewed(dataset, prediction))


def test_every_segment_is_marked(loaded: Loaded) -> None:
    samples, run = loaded.samples, loaded.prediction.with_name("first")
    (sample,) = samples.match_tags("test")
    assert outcomes(sample["predictions"]) == [
        ("box", "false alarm", ["false alarm"]),
        ("box", "hit", ["hit"]),
    ]
    assert outcomes(sample["predictions_stuff"]) == [
        ("road", "hit", ["hit"]),
        ("sky-other-merged", "hit", ["hit"]),
    ]
    assert outcomes(sample["ground_truth"]) == [
        ("box", "hit", ["hit"]),
        ("box", "missed", ["missed"]),
        ("disc", "missed", ["missed"]),
    ]
    road = sample["ground_truth_stuff"].detections
    assert {d.label: round(d["iou"], 4) for d in road} == {
        "road": round(652 / 716, 4),
        "sky-other-merged": 1.0,
    }
    assert [sample[count] for count in ("hits", "false_alarms", "missed")] == [3, 1, 2]
    assert (run / "redraw.txt").read_text() == f"{sample['photo']}\n"
    (listed,) = read_redraw(run).photos
    assert [s.outcome for s in listed.segments] == ["fn", "fn", "fp"]
    assert sample["pq"] == pytest.approx(PQ)
    assert {d.confidence for d in sample["predictions"].detections} == {0.75}
    # in FiftyOne's panel: one of two boxes is a hit, with a false alarm; the disc is missed
    things, stuff = (samples.load_evaluation_results(key, cache=False) for key in EVALUATIONS)
    figures = [{n: m["value"] for n, m in one.custom_metrics.items()} for one in (things, stuff)]
    mean = (1 + 652 / 716) / 2
    assert figures[0] == {"pq": 0.25, "sq": 0.5, "rq": 0.25}
    assert figures[1] == pytest.approx({"pq": mean, "sq": mean, "rq": 1})
    assert [things.report()[name]["f1-score"] for name in ("box", "disc")] == [0.5, 0]
    wrong = samples.filter_labels("predictions", fo.ViewField("pq_things") == "fp")
    assert wrong.values("predictions.detections.label", unwind=True) == ["box"]


def test_predictions_are_stored_beside_the_truth(loaded: Loaded) -> None:
    samples = loaded.samples
    (sample,) = samples.match_tags("test")
    scene = cv2.imread(sample["predicted_scene"].mask_path, cv2.IMREAD_UNCHANGED)
    truth = cv2.imread(sample["scene"].mask_path, cv2.IMREAD_UNCHANGED)
    assert (scene != truth).sum() == 64 + 36
    (other,) = samples.match_tags("train")
    assert other["predictions"] is None
    assert other["pq"] is None
    assert not any(d.has_field("outcome") for d in other["ground_truth"].detections)


def segments_of(sample: fo.Sample, *fields: str) -> list[str]:
    return sorted(d.label for field in fields for d in sample[field].detections)


def test_saved_views(loaded: Loaded) -> None:
    samples = loaded.samples
    (photo,) = truth_of(loaded.dataset).photos
    truth = ("ground_truth", "ground_truth_stuff")
    predicted = ("predictions", "predictions_stuff")
    shown = {}
    for name in samples.list_saved_views():
        for sample in samples.load_saved_view(name):
            if sample["photo"] == photo.file_name:
                shown[name] = segments_of(sample, *truth), segments_of(sample, *predicted)
    everything = (
        ["box", "box", "disc", "road", "sky-other-merged"],
        ["box", "box", "road", "sky-other-merged"],
    )
    assert shown == {
        "worst photos": (["box", "disc"], ["box"]),
        "most expensive photos": (["box", "disc"], ["box"]),
        "all reviewed photos": everything,
        "error: wrong category": (["disc"], ["box"]),
        "error: missed": (["box"], []),
        "confused: disc as box": (["disc"], ["box"]),
        "confident and wrong": ([], ["box"]),
        "missed small things": (["box", "disc"], []),
        "near-duplicates across splits": everything,
        "with findings": everything,
    }


def test_every_error_has_a_kind_and_a_price(loaded: Loaded) -> None:
    samples = loaded.samples
    (sample,) = samples.match_tags("test")
    (disc,) = (d for d in sample["ground_truth"].detections if d.label == "disc")
    wrong = [d for d in sample["predictions"].detections if d["outcome"] == "false alarm"]
    assert [(d["error"], d["confused_with"], d["iou"]) for d in (disc, *wrong)] == [
        ("wrong category", "box", 1.0),
        ("wrong category", "disc", 1.0),
    ]
    missed = [d for d in sample["ground_truth"].detections if d["error"] == "missed"]
    assert disc["price"] == wrong[0]["price"]  # of one error
    assert sample["price"] == pytest.approx(disc["price"] + missed[0]["price"])
    assert sample["error_kinds"] == ["missed", "wrong category"]
    kinds = {kind["kind"]: kind for kind in samples.info["errors"]["kinds"]}
    assert kinds["missed"]["price"] == pytest.approx(missed[0]["price"])
    outline = kinds["outline"]["price"]
    assert sample["price"] + outline == pytest.approx(100 - samples.info["errors"]["pq"])


def test_a_second_review(
    drawn: Dataset,
    curate: Curate,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.delattr(fo.Dataset, "add_sample_field")  # it reloads the set each time
        curate(drawn)
        prediction = predict(drawn, tmp_path / "run")
        samples = reviewed(drawn, prediction)
    (sample,) = samples.match_tags("test")
    sample["predictions"].detections[0].tags.append("ask")
    sample.save()
    capsys.readouterr()
    reviewed(drawn, prediction)
    assert "up to date" in capsys.readouterr().out

    modified = samples.values("last_modified_at")
    prediction.write_text(f"{prediction.read_text()}\n")  # another file with the same content
    with monkeypatch.context() as patch:
        patch.delattr(fo.Dataset, "save_view")
        reviewed(drawn, prediction)
    assert "is loaded" in capsys.readouterr().out
    assert samples.values("last_modified_at") == modified

    review(drawn, truth_of(drawn).json_path, prediction, run=tmp_path / "second")
    sample.reload()
    first = sample["predictions"].detections[0]
    assert sorted(first.tags) == sorted([first["outcome"], "ask"])
    assert len(sample["predictions"].detections) == 2


@pytest.mark.parametrize("field", ["pq", "predictions", "ground_truth.detections.outcome"])
def test_a_deleted_field_is_reviewed_again(
    drawn: Dataset, curate: Curate, tmp_path: Path, field: str
) -> None:
    curate(drawn)
    prediction = predict(drawn, tmp_path / "run")
    reviewed(drawn, prediction).delete_sample_field(field)
    samples = reviewed(drawn, prediction)
    (sample,) = samples.match_tags("test")
    assert sample["pq"] == pytest.approx(PQ)
    assert sorted(d["outcome"] for d in sample["predictions"].detections) == ["false alarm", "hit"]
    assert {d["outcome"] for d in sample["ground_truth"].detections} == {"hit", "missed"}


def test_a_changed_set_must_be_loaded_first(drawn: Dataset, curate: Curate, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no data set 'drawn .*run `curate` first"):
        review(drawn, tmp_path, tmp_path, run=tmp_path / "first")
    curate(drawn)
    prediction = predict(drawn, tmp_path / "run")
    reviewed(drawn, prediction)
    (drawn.panoptic / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="has changed since it was loaded"):
        reviewed(drawn, prediction)


def test_loading_again_keeps_the_review(drawn: Dataset, curate: Curate, tmp_path: Path) -> None:
    curate(drawn)
    samples = reviewed(drawn, predict(drawn, tmp_path / "run"))
    colors = samples.app_config.color_scheme.to_dict()
    draw_photo(drawn.root, "c", GOOD)
    samples = curate(drawn)
    samples.reload()
    assert samples.app_config.color_scheme.to_dict() == colors
    assert len(samples.exists("pq")) == 1


def test_what_the_user_added_in_the_app_has_no_outcome(
    drawn: Dataset, curate: Curate, tmp_path: Path
) -> None:
    (sample,) = curate(drawn).match_tags("test")
    own = fo.Detection(label="box", bounding_box=[0.1, 0.1, 0.2, 0.2])
    sample["ground_truth"].detections.append(own)
    sample.save()
    samples = reviewed(drawn, predict(drawn, tmp_path / "run"))
    (sample,) = samples.match_tags("test")
    found = [d for d in sample["ground_truth"].detections if d.bounding_box == [0.1, 0.1, 0.2, 0.2]]
    assert [d.tags for d in found] == [[]]


def test_photos_removed_from_fiftyone_stay_in_the_list_to_annotate_again(
    drawn: Dataset, curate: Curate, tmp_path: Path
) -> None:
    samples = curate(drawn)
    prediction = predict(drawn, tmp_path / "run")
    (photo,) = truth_of(drawn).photos
    samples.delete_samples(samples.match_tags("test"))
    assert len(reviewed(drawn, prediction).exists("pq")) == 0
    assert [p.file_name for p in read_redraw(tmp_path / "run/first").photos] == [photo.file_name]


def test_a_list_of_another_prediction_is_rewritten(
    drawn: Dataset, curate: Curate, tmp_path: Path
) -> None:
    curate(drawn)
    prediction, run = predict(drawn, tmp_path / "run"), tmp_path / "run/first"
    reviewed(drawn, prediction)
    before = read_redraw(run)
    write_redraw(run, [], [], inputs="of another prediction")
    reviewed(drawn, prediction)
    assert read_redraw(run) == before


def test_photos_without_a_prediction_and_the_users_views(
    drawn: Dataset, curate: Curate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The test split gains a photo; the user has views with the names of our earlier ones."""
    curate(drawn)
    prediction, run = predict(drawn, tmp_path / "run"), tmp_path / "run/first"
    (photo,) = truth_of(drawn).photos
    draw_photo(drawn.root, "d", GOOD)
    (drawn.root / "curation.yaml").write_text("split: {d.jpg: test}")
    samples = curate(drawn)
    for name, description in {"reviewed": None, "mine": "", "error: crowd": "review of x"}.items():
        samples.save_view(name, samples.limit(1), description=description)
    samples.info = {**samples.info, "views": ["mine", "error: crowd"]}
    samples.save()
    capsys.readouterr()
    samples = reviewed(drawn, prediction)
    words = f"predict {run} {drawn.panoptic}/test --out {run}/predictions"
    expected = f"left out: 1 photo without a prediction; to predict them: pipeline.py {words}"
    assert expected in capsys.readouterr().out
    assert samples.exists("pq").values("photo") == [photo.file_name]
    assert {"reviewed", "mine"} <= set(samples.list_saved_views())
    assert not samples.has_saved_view("error: crowd")


def test_report_and_review_write_the_same_list(loaded: Loaded, tmp_path: Path) -> None:
    write_report(
        truth_of(loaded.dataset).json_path,
        loaded.prediction,
        images=loaded.dataset.images,
        folder=tmp_path,
        log=tmp_path / "log.jsonl",
        settings=(),
        title="first",
    )
    for name in ("redraw.txt", "redraw.json"):
        of_review = loaded.prediction.with_name("first") / name
        assert (tmp_path / name).read_bytes() == of_review.read_bytes()
