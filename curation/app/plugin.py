"""Install this project's plugin, `curation/panel`, for FiftyOne's App."""

from __future__ import annotations

import shutil
from pathlib import Path

import fiftyone as fo

NAME = "panoptic-review"
SOURCE = Path(__file__).resolve().parents[1] / "panel"


def install_plugin() -> None:
    """Link the plugin into FiftyOne's folder of plugins, or copy it if links are not supported.

    A folder of that name that is not a link is left alone.
    """
    target = Path(fo.config.plugins_dir) / NAME
    if target.is_symlink():
        if target.resolve() == SOURCE:
            return
        target.unlink()  # of another checkout of this project
    elif target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(SOURCE, target_is_directory=True)
    except OSError:
        shutil.copytree(SOURCE, target)
