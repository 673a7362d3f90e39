"""A data set with one small photo, and helpers that fix it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annotation.dataset import Dataset
from annotation.fixing.fix import Fixed, fix_dataset
from annotation.labelme.annotation import Shape, read_annotation
from annotation.rules.validate import check_dataset
from conversion.painting.owners import paint_owners
from tests.drawn import YAML, draw_dataset, square


def drawn(root: Path, *shapes: Shape, yaml: str = YAML) -> Dataset:
    return draw_dataset(root, {"a": [square("box", 2, 22, 5), *shapes]}, yaml=yaml)


def fix(dataset: Dataset) -> list[Fixed]:
    return fix_dataset(dataset, check_dataset(dataset), paint=paint_owners)


def rules(dataset: Dataset) -> list[str]:
    return [finding.rule for finding in check_dataset(dataset).findings]


def shapes_of(dataset: Dataset) -> tuple[Shape, ...]:
    return read_annotation(dataset.labelme / "a.json").shapes


def change(dataset: Dataset, **values: Any) -> Path:
    """Change keys of the JSON file by hand."""
    path = dataset.labelme / "a.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return path


def contents(root: Path) -> dict[str, bytes]:
    """All files of the set except the cache of validation."""
    paths = (p.relative_to(root) for p in root.rglob("*") if p.is_file())
    return {str(p): (root / p).read_bytes() for p in paths if ".cache" not in p.parts}


def only(fixes: Sequence[Fixed], rule: str) -> Fixed:
    (fixed,) = fixes
    assert fixed.rule == rule
    return fixed
