from __future__ import annotations

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
from tests.curation.conftest import GOOD, Curate, predict, predict_truth, truth_of
from tests.drawn import draw_photo

PQ = (1 + 1 + 652 / 716) / (3 + (1 + 2) / 2)  # hits: box 1, sky, road


def reviewed(dataset: Dataset, prediction: Path) -> fo.Dataset:
    return fo.load_dataset(
        review(dataset, truth_of(dataset).json_path, prediction, run=prediction.with_name("first"))
    )


def outcomes(labels: fo.Detections) -> list[tuple[str, str, list[str]]]:
    return sorted((d.label, d["outcome"], d.tags) for d in labels.detections)


def test_every_segment_is_marked(drawn: Dataset, curate: Curate, tmp_path: Path) -> None:
    curate(drawn)
    samples = reviewed(drawn, predict(drawn, tmp_path / "run"))
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
    assert (tmp_path / "run/first/redraw.txt").read_text() == f"{sample['photo']}\n"
    (listed,) = read_redraw(tmp_path / "run/first").photos
    assert [s.outcome for s in listed.segments] == ["fn", "fn", "fp"]
    assert sample["pq"] == pytest.approx(PQ)
    assert {d.confidence for d in sample["predictions"].detections} == {0.75}
    # in FiftyOne's panel: one of two boxes is a hit, with a false alarm; the disc is missed
    things, stuff = (samples.load_evaluation_results(key) for key in EVALUATIONS)
    figures = [{n: m["value"] for n, m in one.custom_metrics.items()} for one in (things, stuff)]
    mean = (1 + 652 / 716) / 2
    assert figures[0] == {"pq": 0.25, "sq": 0.5, "rq": 0.25}
    assert figures[1] == pytest.approx({"pq": mean, "sq": mean, "rq": 1})
    assert [things.report()[name]["f1-score"] for name in ("box", "disc")] == [0.5, 0]
    wrong = samples.filter_labels("predictions", fo.ViewField("pq_things") == "fp")
    assert wrong.values("predictions.detections.label", unwind=True) == ["box"]


def test_predictions_are_stored_beside_the_truth(
    drawn: Dataset, curate: Curate, tmp_path: Path
) -> None:
    curate(drawn)
    samples = reviewed(drawn, predict(drawn, tmp_path / "run"))
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


def test_saved_views(drawn: Dataset, curate: Curate, tmp_path: Path) -> None:
    curate(drawn)
    samples = reviewed(drawn, predict(drawn, tmp_path / "run"))
    (photo,) = truth_of(drawn).photos
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
        "missed small things": (["box", "disc"], []),
        "near-duplicates across splits": everything,
        "with findings": everything,
    }


def test_every_error_has_a_kind_and_a_price(drawn: Dataset, curate: Curate, tmp_path: Path) -> None:
    curate(drawn)
    samples = reviewed(drawn, predict(drawn, tmp_path / "run"))
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
    drawn: Dataset, curate: Curate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    curate(drawn)
    prediction = predict(drawn, tmp_path / "run")
    (sample,) = reviewed(drawn, prediction).match_tags("test")
    sample["predictions"].detections[0].tags.append("ask")
    sample.save()
    capsys.readouterr()
    reviewed(drawn, prediction)
    assert "up to date" in capsys.readouterr().out

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


def test_report_and_review_write_the_same_list(
    drawn: Dataset, curate: Curate, tmp_path: Path
) -> None:
    curate(drawn)
    prediction, run = predict(drawn, tmp_path / "run"), tmp_path / "run/first"
    reviewed(drawn, prediction)
    names = ("redraw.txt", "redraw.json")
    written = {name: (run / name).read_bytes() for name in names}
    for name in names:
        (run / name).unlink()
    write_report(
        truth_of(drawn).json_path,
        prediction,
        images=drawn.images,
        folder=run,
        log=run / "log.jsonl",
        settings=(),
        title="first",
    )
    assert {name: (run / name).read_bytes() for name in names} == written


def test_the_runs_before_stay_beside_the_reviewed_one(
    drawn: Dataset, curate: Curate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_photo(drawn.root, "c", GOOD)
    draw_photo(drawn.root, "d", GOOD)
    curate(drawn)
    wrong, right = truth_of(drawn).photos
    bad, good = tmp_path / "bad", tmp_path / "good"
    predict(drawn, bad / "predictions")
    predict_truth(drawn, good / "predictions")

    def load(run: Path) -> fo.Dataset:
        json = run / "predictions/panoptic.json"
        return fo.load_dataset(review(drawn, truth_of(drawn).json_path, json, run=run))

    assert not load(bad).has_sample_field("other_pq")
    samples = load(good)
    by_photo = {sample["photo"]: sample for sample in samples.exists("pq")}
    changed = by_photo[wrong.file_name]
    assert changed["pq"] == 1
    assert (changed["other_pq"], changed["pq_change"]) == pytest.approx((PQ, 1 - PQ))
    assert by_photo[right.file_name]["pq_change"] == 0
    assert outcomes(changed["predictions"]) == [("box", "hit", ["hit"])] * 2 + [
        ("disc", "hit", ["hit"])
    ]
    assert outcomes(changed["other_predictions"]) == [
        ("box", "false alarm", ["false alarm"]),
        ("box", "hit", ["hit"]),
    ]
    for view, count in (("runs disagree", 1), ("better than bad", 1), ("worse than bad", 0)):
        assert len(samples.load_saved_view(view)) == count
    (shown,) = samples.load_saved_view("runs disagree")
    assert outcomes(shown["other_predictions"]) == [("box", "false alarm", ["false alarm"])]
    assert samples.info["errors"]["others"][0]["pq"] < samples.info["errors"]["pq"] == 100

    third = tmp_path / "third"  # as bad as the first; both others stay beside it
    predict(drawn, third / "predictions")
    samples = load(third)
    sample = samples.one(fo.ViewField("photo") == wrong.file_name)
    assert [one["run"] for one in samples.info["errors"]["others"]] == ["good", "bad"]
    assert (sample["pq_change"], sample["pq_change_2"]) == (pytest.approx(PQ - 1), 0)
    assert outcomes(sample["other_2_predictions"]) == outcomes(sample["predictions"])
    for view, count in (("runs disagree", 1), ("worse than good", 1), ("better than bad", 0)):
        assert len(samples.load_saved_view(view)) == count

    (bad / "predictions/panoptic.json").write_text("{}")
    samples = load(good)
    assert f"not shown beside this run: {bad}" in capsys.readouterr().out
    assert samples.has_sample_field("other_predictions")
    assert not samples.has_sample_field("other_2_predictions")
    assert not samples.has_saved_view("worse than bad")
