"""Types of command-line arguments that several subcommands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg

DatasetPath = Annotated[Positional[Path], arg(metavar="DATASET")]
RunPath = Annotated[Positional[Path], arg(metavar="RUN")]
RunOrWeights = Annotated[Positional[str], arg(metavar="RUN")]
Settings = Annotated[tuple[tuple[str, ...], ...], UseAppendAction, arg(metavar="KEY=VALUE ...")]
