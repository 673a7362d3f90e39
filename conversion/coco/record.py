"""What COCO files say beside their images and annotations: licences, categories, ..."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.parsing import parse, read_json, write_json
from conversion.coco.file import CocoFile

RECORD = "imported.json"


@dataclass(frozen=True)
class Record:
    """All that was brought into a data set, an entry for each COCO file."""

    sources: tuple[dict[str, Any], ...] = ()


def read_record(root: Path) -> Record:
    """What was brought in before; InputError where the record is broken."""
    path = root / RECORD
    return parse(Record, read_json(path), where=str(path)) if path.exists() else Record()


def write_record(root: Path, source: Path, files: Sequence[CocoFile]) -> None:
    """Add an entry for each file of `source`, but for those that stand there already."""
    entries = list(read_record(root).sources)
    for file in files:
        name = os.path.relpath(file.path, source.absolute().parent).replace(os.sep, "/")
        entry = {"file": name, "split": file.split, **file.header}
        entries += [] if entry in entries else [entry]
    write_json(root / RECORD, Record(tuple(entries)), indent=2)
