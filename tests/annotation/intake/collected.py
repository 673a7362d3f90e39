"""Photos, zip files and videos to collect, and what is in a set afterwards."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from annotation.intake.collect import Collected
from tests.annotation.intake.test_cleaning import exif, saved
from tests.annotation.photos.test_likeness import landscape


def photo(seed: int, *, quality: int = 90, orientation: int | None = None) -> bytes:
    """Return a JPEG of 320x240 pixels; photos with other seeds look completely different."""
    block = exif(orientation=orientation, gps=True) if orientation else b""
    rgb = np.ascontiguousarray(landscape(seed)[..., ::-1])
    return saved(Image.fromarray(rgb), quality=quality, exif=block)


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write_zip(path: Path, members: Sequence[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def write_video(path: Path, frames: Sequence[np.ndarray], *, code: str, fps: float = 10) -> Path:
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), fps, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def state(root: Path) -> dict[str, bytes]:
    """Return all files of a set, including temporary ones."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "images").iterdir())


def groups(root: Path) -> dict[str, str]:
    with (root / "photos.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header[0] == "image"
    return dict(rows)


def reasons(collected: Collected) -> dict[str, str]:
    return {one.origin.rpartition("/")[2]: one.reason for one in collected.refused}
