"""The reviewed run beside the runs that were reviewed before it."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import pytest

from annotation.dataset import Dataset
from curation.app.fields import OTHERS
from curation.review.review import review
from tests.curation.conftest import GOOD, PQ, Curate, outcomes, predict, predict_truth, truth_of
from tests.drawn import draw_photo


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

    samples = load(bad)
    assert not samples.has_sample_field("other_pq")
    look = samples.app_config
    look.color_scheme.opacity = 0.2  # by the user
    look.sidebar_groups = look.sidebar_groups[::-1]
    names = [group.name for group in look.sidebar_groups]
    samples.save()
    samples = load(good)
    look = samples.app_config
    assert look.color_scheme.opacity == 0.2
    assert "other_predictions" in {field["path"] for field in look.color_scheme.fields}
    assert [group.name for group in look.sidebar_groups] == [*names, "other runs"]
    assert look.sidebar_groups[-1].paths == list(OTHERS[0].all)
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
