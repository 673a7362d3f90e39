"""Damaged files lead to findings, not exceptions; benchmarks/fuzz_annotations.py runs longer."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np

from annotation.rules.validate import check_dataset
from base.files import write_bytes
from tests.annotation.mutate import corpus, mutate
from tests.drawn import draw_dataset, square


def test_mutated_files_raise_no_exceptions(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 5)]})
    files = corpus()
    for number in range(300):
        write_bytes(dataset.labelme / "a.json", mutate(files[number % len(files)], rng))
        (record,) = check_dataset(dataset).annotations
        assert record.path.name == "a.json"


def test_a_string_of_100_mb_takes_less_than_a_gigabyte(tmp_path: Path) -> None:
    dataset = draw_dataset(tmp_path, {"a": [square("box", 2, 2, 5)]})
    path = dataset.labelme / "a.json"
    path.write_bytes(path.read_bytes().replace(b'"box"', b'"' + b"x" * 100_000_000 + b'"'))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (finding,) = check_dataset(dataset).findings
    assert finding.rule == "label-unknown"
    assert len(finding.message) < 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # kB
