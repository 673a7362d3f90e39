"""Small inputs rebuilt from public bug reports, which lie beside the repository."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

CASES = Path(__file__).parents[2] / "shared" / "cases"


def copy_case(name: str, tmp_path: Path) -> Path:
    """Copy the folder of one case, so that a test can write into it; skip without the folder."""
    if not (CASES / name).is_dir():
        pytest.skip(f"{CASES / name} is missing")
    return Path(shutil.copytree(CASES / name, tmp_path / name))
