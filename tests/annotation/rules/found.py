"""Helpers that return the findings of one rule."""

from __future__ import annotations

from annotation.dataset import Dataset
from annotation.findings import Finding
from annotation.rules.checked import Pixels
from annotation.rules.validate import check_dataset


def findings(dataset: Dataset, rule: str, *, pixels: Pixels = "known") -> list[Finding]:
    return [f for f in check_dataset(dataset, pixels=pixels).findings if f.rule == rule]


def places(
    dataset: Dataset, rule: str, *, pixels: Pixels = "known"
) -> list[tuple[str, int | None]]:
    return [(f.file, f.shape) for f in findings(dataset, rule, pixels=pixels)]
