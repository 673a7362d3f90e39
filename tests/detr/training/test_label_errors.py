"""`label-errors`: two real trainings, stopped in between, and the list of suspects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from annotation.dataset import Dataset
from base.counting import counted
from base.errors import InputError
from commands.label_errors import label_errors as command
from conversion.building.build import convert
from conversion.coco.panoptic_file import read_panoptic
from evaluation.label_errors.suspects import read_suspects
from labelme_panoptic_detr import find_label_errors, training
from tests.drawn import draw_dataset, square

SMALL = {"num_queries": 4, "min_size": 32, "max_size": 40, "batch_size": 1, "epochs": 1}


def test_folds_are_trained_and_predicted_once_and_ranked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = {name: [square("box", 4, 4, 8), square("disc", 20, 12, 12)] for name in "abcd"}
    dataset = draw_dataset(tmp_path / "set", photos)
    convert(dataset)
    out, trained = tmp_path / "labels", list[str]()

    def stopping(fold: Dataset, *args: Any, **options: Any) -> None:
        trained.append(fold.root.name)
        if len(trained) == 2:
            raise KeyboardInterrupt
        training.train(fold, *args, **options)

    monkeypatch.setattr("labelme_panoptic_detr.label_errors.train", stopping)
    with pytest.raises(KeyboardInterrupt):
        find_label_errors(dataset, out, folds=2, settings=SMALL)
    ranked = find_label_errors(dataset, out, folds=2, settings=SMALL)
    command(dataset.root, out, folds=2, set=(tuple(f"{k}={v}" for k, v in SMALL.items()),))
    assert trained == ["fold-1", "fold-2", "fold-2"]
    predicted = read_panoptic(out / "predictions/panoptic.json")
    assert [photo.file_name for photo in predicted.photos] == [f"{name}.jpg" for name in photos]
    found = read_suspects(out / "suspects.json")
    assert found == ranked
    listed = counted(len(found.suspects), "suspicious label")
    printed = capsys.readouterr().out
    assert f"{listed}, the most suspicious first" in printed
    assert f"pipeline.py curate {dataset.root} --label-errors {out} --app\n" in printed
    with pytest.raises(InputError, match="--folds: expected 2 or more, found 1"):
        command(dataset.root, out, folds=1)
