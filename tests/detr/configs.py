"""Training configurations that tests share."""

from __future__ import annotations

from typing import Any

from detr.config import FAST, TrainConfig


def fast_config(**changed: Any) -> TrainConfig:
    """Return the configuration of `variant: fast`, with some values changed."""
    return TrainConfig(**{**FAST, **changed})
