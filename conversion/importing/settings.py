"""Comparing the `dataset.yaml` of a set with what is imported, or writing a new one."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from annotation.dataset import DatasetConfig, open_dataset, parse_config
from base.errors import InputError, nearest
from base.files import write_bytes
from conversion.coco.categories import coco_categories
from conversion.coco.file import CocoFile
from conversion.coco.png import VOID
from conversion.coco.problems import Problems
from conversion.config import ConversionConfig, read_conversion_config
from conversion.importing.labels import Labels
from conversion.importing.splits import SourceSplits

STUFF_FOLDER = "stuff"
WHY_SMALLER = (
    "COCO has no drawing order; with as-drawn, small things could be hidden under large ones"
)


def check_config(
    root: Path,
    files: Sequence[tuple[CocoFile, Labels]],
    splits: SourceSplits,
    problems: Problems,
) -> None:
    """Compare what is imported with an existing `dataset.yaml`, which is never changed.

    If there is none, check that the new one will be valid. Raises InputError if `root` is a file.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: expected the folder of a data set, found a file")
    path = _config_path(root)
    if path.exists():
        dataset = open_dataset(root)
        config = read_conversion_config(dataset)
        for file, labels in files:
            _check_known(path, dataset.config, config, file, labels, problems)
    elif not problems.lines:  # categories that cannot be read would only give the same again
        with problems.collecting("categories"):
            parse_config(_config_values(root, files, splits), where=f"in the new {path}")


def _check_known(
    path: Path,
    shared: DatasetConfig,
    config: ConversionConfig,
    file: CocoFile,
    labels: Labels,
    problems: Problems,
) -> None:
    """Report things and stuff of one file that a `dataset.yaml` lacks; suggest similar names."""
    things = labels.used & set(labels.things.values())
    for name in sorted(things - set(shared.labels)):
        hint = nearest(name, shared.things)
        problems.add(f"{path}: things: '{name}' of {file.path} is missing{hint}")
    names = {c.id: c.name for c in coco_categories()}
    stuff = labels.used & {names[i] for i in labels.stuff.values() if i != VOID}
    for name in sorted(stuff - set(shared.stuff)):
        hint = nearest(name, shared.stuff)
        problems.add(f"{path}: stuff: '{name}' of {file.path} is missing{hint}")
    folders = {os.path.normpath(s.label_maps) for s in config.stuff_sources if s.label_maps}
    if stuff and STUFF_FOLDER not in folders:
        problems.add(f"{path}: stuff_sources: expected `- label_maps: {STUFF_FOLDER}`")


def write_config(
    root: Path, files: Sequence[tuple[CocoFile, Labels]], splits: SourceSplits
) -> None:
    """Write `dataset.yaml`, and what it refers to, if there is none."""
    path = _config_path(root)
    if path.exists():
        return
    splits.write(root)
    values = _config_values(root, files, splits)
    if values["stuff"]:
        (root / STUFF_FOLDER).mkdir(parents=True, exist_ok=True)  # even if no photo has stuff
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    write_bytes(
        path, re.sub(r"(?m)^painting: .*$", rf"\g<0>  # {WHY_SMALLER}", text).encode(), durable=True
    )


def _config_values(
    root: Path, files: Sequence[tuple[CocoFile, Labels]], splits: SourceSplits
) -> dict[str, Any]:
    """Return the values of a minimal `dataset.yaml`; things are in the order of the files."""
    labels = [one for _, one in files]
    names = {c.id: c.name for c in coco_categories()}
    stuff = sorted({coco_id for one in labels for coco_id in one.stuff.values()} - {VOID})
    painting = {"painting": "smaller-on-top"} if proposes_painting(files) else {}
    return {
        "name": root.resolve().name or "dataset",
        "things": list(dict.fromkeys(name for one in labels for name in one.things.values())),
        "stuff": [names[coco_id] for coco_id in stuff],
        "stuff_sources": [{"label_maps": STUFF_FOLDER}] if stuff else [],
        **painting,
        "split": splits.values(),
    }


def proposes_painting(files: Sequence[tuple[CocoFile, Labels]]) -> bool:
    """Return whether annotations may overlap: those of panoptic files do not."""
    return any(not file.panoptic for file, _ in files)


def _config_path(root: Path) -> Path:
    return root / "dataset.yaml"
