"""Planning measures steps; how long they take does not matter to tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def one_measured_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure one step of each plan instead of several."""
    monkeypatch.setattr("detr.planning.cost.MEASURED_STEPS", 1)
