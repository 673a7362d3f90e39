"""What the tests of collecting share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, so that origins are short."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
