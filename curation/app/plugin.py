"""Install this project's plugin, `curation/panel`, for FiftyOne's App."""

from __future__ import annotations

import shutil
from pathlib import Path

import fiftyone as fo

from base.files import digest

NAME = "panoptic-review"
COPY = ".copy"  # in a copy: a digest of the files from which it was made
SOURCE = Path(__file__).resolve().parents[1] / "panel"


def install_plugin() -> None:
    """Link the plugin into FiftyOne's folder of plugins, or copy it if links are not supported.

    A copy is replaced if this project's plugin has changed since. Any other folder of that name is
    left alone.
    """
    target = Path(fo.config.plugins_dir) / NAME
    if target.is_symlink():
        if target.resolve() == SOURCE:
            return
        target.unlink()  # of another checkout of this project
    elif target.exists():
        if not (target / COPY).is_file() or (target / COPY).read_text() == _digest():
            return
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(SOURCE, target_is_directory=True)
    except OSError:
        target.mkdir()
        (target / COPY).touch()  # first, so that an incomplete copy is replaced
        shutil.copytree(SOURCE, target, dirs_exist_ok=True)
        (target / COPY).write_text(_digest())


def _digest() -> str:
    return digest(*sorted(path for path in SOURCE.iterdir() if path.is_file()))
