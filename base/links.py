"""Links to files, or copies on file systems without links."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Literal

from base.files import replacing


def link_or_copy(
    source: Path,
    target: Path,
    *,
    kind: Literal["symbolic", "hard"],
    real_folder: Path | None = None,
) -> None:
    """Create `target` as a link to the file `source`, or as a copy if links are not supported.

    Symbolic links are relative, so that a data set can be moved with its links. `target` must not
    exist. `real_folder` is its folder without links in the path; callers that know it save the
    time to resolve it. Raises OSError if neither a link nor a copy can be made.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if kind == "hard":
            os.link(source, target)
        else:
            # `..` in a link is relative to the real folder, not to a link that leads to it
            folder = real_folder or target.parent.resolve()
            target.symlink_to(os.path.relpath(source.absolute(), folder))
    except OSError:
        with replacing(target, size=source.stat().st_size) as temporary:
            shutil.copyfile(source, temporary)
