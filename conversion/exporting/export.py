"""Export a built set to another format; the output folder appears only when it is complete."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Literal

from annotation.dataset import Dataset
from base.errors import InputError
from base.syncing import sync_all, sync_folder
from conversion.coco.panoptic import find_split_jsons
from conversion.coco.panoptic_file import read_panoptic
from conversion.exporting.semantic import write_semantic
from conversion.exporting.splits import Splits
from conversion.exporting.yolo import write_yolo

Format = Literal["yolo-seg", "semantic"]


def export(dataset: Dataset, format: Format, out: Path) -> int:
    """Write all splits of the built set to the new folder `out`; return the number of photos.

    Raises InputError if `out` exists and is not empty, or if the set is not built.
    """
    splits = _read_splits(dataset)
    if out.exists() and (not out.is_dir() or any(out.iterdir()) or out.samefile(Path.cwd())):
        raise InputError(f"{out}: already exists; expected a new or empty folder")
    write = write_yolo if format == "yolo-seg" else write_semantic
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        write(dataset, splits, unfinished)
        unfinished.chmod(0o755)  # mkdtemp creates folders that only their owner can read
        sync_all(unfinished)  # an incomplete folder could not be replaced by the same command
        unfinished.replace(out)
        sync_folder(out.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return sum(len(panoptic.photos) for panoptic in splits.values())


def _read_splits(dataset: Dataset) -> Splits:
    paths = find_split_jsons(dataset.panoptic)
    if not paths or not (dataset.panoptic / "manifest.json").is_file():
        command = f"pipeline.py convert {shlex.quote(str(dataset.root))}"
        raise InputError(f"{dataset.panoptic}: not built; run `{command}`")
    return {split: read_panoptic(path) for split, path in paths.items()}
