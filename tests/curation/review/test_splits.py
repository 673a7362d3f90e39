"""Predictions of other splits than test are reviewed when the split is named."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo
import pytest

from annotation.dataset import Dataset
from base.errors import InputError
from commands.curation import review
from conversion.building.build import convert
from conversion.config import open_valid_dataset
from curation.loading.load import fiftyone_name
from evaluation.errors.redraw import read_redraw
from tests.predicted import run_that_predicts


def test_another_split_is_reviewed_when_it_is_named(
    drawn: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = drawn.root / "dataset.yaml"
    path.write_text(path.read_text().replace("test: 0.5", "dev: 0.5"))
    drawn = open_valid_dataset(drawn.root)
    convert(drawn)
    first = run_that_predicts(drawn, tmp_path / "first", "dev", "train")
    second = run_that_predicts(drawn, tmp_path / "second", "dev")
    with pytest.raises(InputError, match="expected the split 'test', found the splits dev, train"):
        review(first, app=False)
    review(first, app=False, split="dev")
    samples = fo.load_dataset(fiftyone_name(drawn))
    assert sorted(s["split"] for s in samples if s["split"]) == ["dev", "train"]
    assert [sample["split"] for sample in samples.exists("pq")] == ["dev"]
    assert samples.info["errors"]["run"] == "first (dev)"
    assert read_redraw(first / "dev").photos == ()
    assert f"{first / 'dev' / 'redraw.json'} --with-predictions" in capsys.readouterr().out

    review(second, app=False, split="dev")
    samples.reload()
    assert [one["run"] for one in samples.info["errors"]["others"]] == ["first (dev)"]
    review(first, app=False, split="train")
    samples.reload()
    assert samples.info["errors"]["others"] == []
    assert [sample["split"] for sample in samples.exists("pq")] == ["train"]
