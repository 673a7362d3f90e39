"""Groups of photos that belong together: one scene, one video, parts of one picture."""

from __future__ import annotations

import csv
from pathlib import Path

from annotation.dataset import Dataset
from base.errors import InputError


def group_file(dataset: Dataset) -> Path | None:
    """The CSV that `split.group_by` names; None where there is none."""
    if dataset.config.group_by is None:
        return None
    where = f"{dataset.root / 'dataset.yaml'}: split.group_by"
    return dataset.inside(dataset.config.group_by, where=where)


def read_photo_groups(path: Path) -> dict[str, str]:
    """Group by name below `images/`, from a CSV with the columns image and a group.

    Raises InputError where it is none.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = csv.reader(file)
    except (OSError, ValueError, csv.Error):
        raise InputError(f"{path}: cannot be read as a CSV file with a header") from None
    if len(header) != 2 or header[0] != "image":
        raise InputError(f"{path}: expected the columns image and a group, got {header}")
    for line, row in enumerate(rows, start=2):
        if len(row) != 2:
            raise InputError(f"{path}: line {line}: expected 2 columns, got {len(row)}")
    return {row[0]: row[1] for row in rows}
