"""Benchmarks repeat what was made from other inputs or with other settings, and nothing else."""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import active
from benchmarks.label_errors import begin_folds
from conversion.building.build import convert
from conversion.coco.panoptic import split_json
from conversion.coco.panoptic_file import read_panoptic, write_panoptic
from tests.drawn import draw_dataset, square


def test_trainings_with_the_same_inputs_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = draw_dataset(tmp_path / "set", {name: [square("box", 4, 4, 8)] for name in "abcdef"})
    convert(dataset)
    train, test = (read_panoptic(split_json(dataset.panoptic, s)) for s in ("train", "test"))
    commands: list[list[str]] = []
    scores = SimpleNamespace(quality=SimpleNamespace(all=SimpleNamespace(pq=0.5)))
    monkeypatch.setattr(subprocess, "run", lambda words, check: commands.append(words))
    monkeypatch.setattr(active, "predict", lambda *_: None)
    monkeypatch.setattr(active, "evaluate_files", lambda *_: scores)
    first = active.Benchmark(dataset, train, test, (1, 2), "6m", (), tmp_path / "out")

    def trained(benchmark: active.Benchmark) -> list[str]:
        commands.clear()
        assert list(benchmark.scores("random", 0)) == [0.5] * len(benchmark.sizes)
        return [Path(words[3]).name for words in commands]

    assert trained(first) == ["seed0-1", "seed0-random-2"]
    assert trained(first) == []
    assert trained(replace(first, sizes=(1, 3))) == ["seed0-random-3"]
    assert trained(replace(first, time="1m")) == ["seed0-1", "seed0-random-2"]
    assert trained(replace(first, settings=("epochs=1",))) == ["seed0-1", "seed0-random-2"]
    assert commands[0][-2:] == ["seed=0", "epochs=1"]
    left = tmp_path / "out/seed0-1/run/left.pt"
    left.parent.mkdir()
    left.touch()
    write_panoptic(replace(train, photos=train.photos[1:]))
    assert trained(replace(first, settings=("epochs=1",))) == ["seed0-1", "seed0-random-2"]
    assert not left.exists()


def test_folds_of_the_same_labels_are_continued(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path / "set", {name: [square("box", 4, 4, 8)] for name in "ab"})
    convert(dataset)
    folds, options = tmp_path / "folds", argparse.Namespace(folds=2, set=None, time="1m")

    def is_kept() -> bool:
        begin_folds(folds, dataset.panoptic, options)
        kept = folds.exists()
        folds.mkdir(exist_ok=True)
        return kept

    assert [is_kept() for _ in range(2)] == [False, True]
    options.folds = 3
    assert [is_kept() for _ in range(2)] == [False, True]
    options.set = ["epochs=1"]
    assert not is_kept()
    options.time = "2m"  # not used with --set
    assert is_kept()
    train = read_panoptic(split_json(dataset.panoptic, "train"))
    write_panoptic(replace(train, photos=()))
    assert not is_kept()
