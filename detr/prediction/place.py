"""The folder of a prediction, and its manifest. Does not load torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from base.errors import InputError
from base.parsing import read_json
from detr.prediction.sources import PhotoList


def check_place(photos: PhotoList, out: Path) -> None:
    """Raise InputError if `out` contains anything but predictions, or lies among the photos."""
    for folder in photos.folders:
        if out.resolve().is_relative_to(folder.resolve()):
            raise InputError(
                f"{out}: is inside {folder}, where predictions would be read as photos; choose"
                " another folder"
            )
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: expected a folder for the predictions, found a file")
    visible = out.is_dir() and any(not path.name.startswith(".") for path in out.iterdir())
    if visible and read_manifest(out) is None:
        raise InputError(
            f"{out}: contains files that `predict` did not write; choose another folder"
        )


def read_manifest(out: Path) -> dict[str, Any] | None:
    """Return the manifest of an earlier prediction, complete or not; None if there is none."""
    path = out / "manifest.json"
    found = read_json(path) if path.is_file() else None
    return found if isinstance(found, dict) and "digest" in found else None
