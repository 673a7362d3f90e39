"""The user's choices about a source that can be read in more than one way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Crowds = Literal["auto", "keep"]


@dataclass(frozen=True)
class ImportOptions:
    """The choices about a source.

    `images` is the folder of the photos if they are not in one of the usual places. With `crowds`
    "keep", every `iscrowd` is a crowd; otherwise, a file in which it only marks RLEs has none.
    `things` are names of panoptic categories that are things, whatever the file says; all others
    are then stuff.
    """

    images: Path | None = None
    crowds: Crowds = "auto"
    things: tuple[str, ...] = ()


DEFAULTS = ImportOptions()
