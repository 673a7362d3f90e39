"""Comparing the `dataset.yaml` of a set with what is imported, or writing a new one."""

from __future__ import annotations

import os
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

STUFF_FOLDER = "stuff"


def check_config(root: Path, files: Sequence[tuple[CocoFile, Labels]], problems: Problems) -> None:
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
    else:
        with problems.collecting("categories"):
            parse_config(_config_values(root, files), where=f"in the new {path}")


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


def write_config(root: Path, files: Sequence[tuple[CocoFile, Labels]]) -> None:
    """Write `dataset.yaml` if there is none."""
    path = _config_path(root)
    if not path.exists():
        text = yaml.safe_dump(_config_values(root, files), sort_keys=False, allow_unicode=True)
        write_bytes(path, text.encode())


def _config_values(root: Path, files: Sequence[tuple[CocoFile, Labels]]) -> dict[str, Any]:
    """Return the values of a minimal `dataset.yaml`; things are in the order of the files."""
    labels = [one for _, one in files]
    names = {c.id: c.name for c in coco_categories()}
    stuff = sorted({coco_id for one in labels for coco_id in one.stuff.values()} - {VOID})
    return {
        "name": root.resolve().name or "dataset",
        "things": list(dict.fromkeys(name for one in labels for name in one.things.values())),
        "stuff": [names[coco_id] for coco_id in stuff],
        "stuff_sources": [{"label_maps": STUFF_FOLDER}] if stuff else [],
        "split": {"train": 0.8, "test": 0.2, "seed": 0},
    }


def _config_path(root: Path) -> Path:
    return root / "dataset.yaml"
