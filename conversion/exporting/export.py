"""Export a built set to another format; the output folder appears only when it is complete."""

from __future__ import annotations

import shlex
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Literal

from annotation.dataset import Dataset
from base.errors import InputError
from base.locks import working_on
from base.syncing import sync_all, sync_folder
from conversion.coco.panoptic import find_split_jsons
from conversion.coco.panoptic_file import read_panoptic
from conversion.exporting.semantic import write_semantic
from conversion.exporting.splits import Splits
from conversion.exporting.yolo import write_yolo

Format = Literal["yolo-seg", "semantic"]


def export(dataset: Dataset, format: Format, out: Path) -> int:
    """Write all splits of the built set to the new folder `out`; return the number of photos.

    It is written beside `out` and renamed; what a killed export has left there is removed. Raises
    InputError if `out` exists and is not empty, or if the set is not built.
    """
    splits = _read_splits(dataset)
    _check_new(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    lock = out.with_name(f".{out.name}.export")
    try:
        with working_on(lock, "export"):
            _export(dataset, splits, format, out)
    finally:
        with suppress(OSError):  # removed already, unless a killed export has left it
            lock.rmdir()
    return sum(len(panoptic.photos) for panoptic in splits.values())


def _check_new(out: Path) -> None:
    """Raise InputError if the folder exists and is not empty, or is the current one."""
    if out.exists() and (not out.is_dir() or any(out.iterdir()) or out.samefile(Path.cwd())):
        raise InputError(f"{out}: already exists; expected a new or empty folder")


def _export(dataset: Dataset, splits: Splits, format: Format, out: Path) -> None:
    _check_new(out)  # again: another export may have written it meanwhile
    write = write_yolo if format == "yolo-seg" else write_semantic
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        write(dataset, splits, unfinished)
        sync_all(unfinished)  # an incomplete folder could not be replaced by the same command
        unfinished.replace(out)
        sync_folder(out.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _read_splits(dataset: Dataset) -> Splits:
    paths = find_split_jsons(dataset.panoptic)
    if not paths or not (dataset.panoptic / "manifest.json").is_file():
        command = f"pipeline.py convert {shlex.quote(str(dataset.root))}"
        raise InputError(f"{dataset.panoptic}: not built; run `{command}`")
    return {split: read_panoptic(path) for split, path in paths.items()}
