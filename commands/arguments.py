"""Types of command-line arguments that several subcommands take."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg

from base.errors import InputError

DatasetPath = Annotated[Positional[Path], arg(metavar="DATASET")]
RunPath = Annotated[Positional[Path], arg(metavar="RUN")]
RunOrWeights = Annotated[Positional[str], arg(metavar="RUN")]
Settings = Annotated[tuple[tuple[str, ...], ...], UseAppendAction, arg(metavar="KEY=VALUE ...")]


def check_file(path: Path | None, option: str, suffix: str) -> None:
    """Raise InputError if the value of `option` cannot be written as a file; None is no file.

    A file that exists is replaced only if its name ends with `suffix`, because a mistyped path must
    not cost a person another file. Commands call this before their work.
    """
    if path is None:
        return
    if path.is_dir():
        raise InputError(f"{option}: expected a file to write, found the folder {path}")
    if path.exists() and path.suffix.lower() != suffix:
        raise InputError(
            f"{option}: expected a new file, or one whose name ends with {suffix}, found {path}"
        )
    above = next(parent for parent in path.parents if parent.exists())
    if not above.is_dir():
        raise InputError(f"{option}: expected a path in a folder, but {above} is a file")
    if not os.access(above, os.W_OK):
        raise InputError(f"{option}: {above} cannot be written")
