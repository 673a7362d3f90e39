"""Results of a benchmark that was stopped are continued only if they have the same inputs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from base.parsing import read_json, write_json


def begin(folder: Path, record: Path, inputs: dict[str, Any]) -> None:
    """Delete a folder of results that were made from other inputs, and write these to `record`."""
    if not record.is_file() or read_json(record) != inputs:
        shutil.rmtree(folder, ignore_errors=True)
        write_json(record, inputs)
