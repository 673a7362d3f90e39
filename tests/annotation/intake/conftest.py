"""A fixture for the tests of collecting photos."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the temporary folder the current one, so that origins are short; return it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
