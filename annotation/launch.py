"""Open the real Labelme on a data set."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

from annotation.dataset import Dataset
from annotation.files import InputError

SYSTEM_PACKAGES = "libgl1 libegl1 libdbus-1-3 libxkbcommon-x11-0 libxcb-icccm4 libxcb-image0"
SYSTEM_PACKAGES += " libxcb-keysyms1 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-xkb1"


def labelme_command(dataset: Dataset) -> list[str]:
    """Command that opens Labelme on the set's photos: its labels only, saved to `labelme/`."""
    return [
        sys.executable,
        "-m",
        "labelme",
        str(dataset.images),
        "--output",
        str(dataset.labelme),
        "--labels",
        ",".join(dataset.config.things),
        "--validate-label",
        "exact",
        "--no-sort-labels",
    ]


def open_labelme(dataset: Dataset) -> None:
    """Open Labelme and wait until its window is closed.

    Raises InputError where there is no photo, no screen, or where Labelme does not start.
    """
    if importlib.util.find_spec("labelme") is None:
        raise InputError("labelme is not installed; run `make setup`")
    if not dataset.photos():
        raise InputError(f"{dataset.images}: no photos; put some there")
    if sys.platform == "linux" and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))):
        raise InputError("no screen: Labelme needs a desktop (DISPLAY is not set)")
    dataset.labelme.mkdir(exist_ok=True)
    code = subprocess.run(labelme_command(dataset), check=False).returncode
    if code:
        hint = f"; on Debian or Ubuntu it needs: {SYSTEM_PACKAGES}" if code < 0 else ""
        raise InputError(f"Labelme ended with status {code}; its own message stands above{hint}")
