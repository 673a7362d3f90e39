"""Keeping other contents of COCO files with the data set, such as licenses and info."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.parsing import parse, read_json, write_json
from conversion.coco.file import CocoFile

PROVENANCE = "imported.json"


@dataclass(frozen=True)
class Provenance:
    """The files that were imported into a data set, with an entry for each."""

    sources: tuple[dict[str, Any], ...] = ()


def read_provenance(root: Path) -> Provenance:
    """Read what was imported earlier; raises InputError if the file is damaged."""
    path = root / PROVENANCE
    return parse(Provenance, read_json(path), where=str(path)) if path.exists() else Provenance()


def write_provenance(root: Path, source: Path, files: Sequence[CocoFile]) -> None:
    """Add an entry for each file of `source` that has none yet."""
    entries = list(read_provenance(root).sources)
    for file in files:
        name = os.path.relpath(file.path, source.absolute().parent).replace(os.sep, "/")
        last = {"images": file.last_image_id, "annotations": file.last_annotation_id}
        entry = {"file": name, "split": file.split, "last_ids": last, **file.header}
        entries += [] if entry in entries else [entry]
    write_json(root / PROVENANCE, Provenance(tuple(entries)), indent=2, durable=True)
