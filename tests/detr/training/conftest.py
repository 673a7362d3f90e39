"""A small data set that tests do not change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.detr.drawn import draw_set


@pytest.fixture(scope="session")
def panoptic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_set(tmp_path_factory.mktemp("drawn") / "panoptic")
