"""The settings that a person gives in `train.yaml` and with `--set`.

This module does not import torch: the command line checks the settings before anything slow is
loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base.errors import InputError
from base.parsing import load_yaml, parse, parse_yaml
from detr.config import FAST, TrainConfig

DEFAULT_VARIANT = "fast"


@dataclass(frozen=True)
class Settings:
    """Settings by name, and the place that errors about them name."""

    values: Mapping[str, Any] = field(default_factory=dict)
    where: str = "--set"

    @property
    def variant(self) -> str:
        """The variant of the model, whether it was given or not."""
        return str(self.values.get("variant", DEFAULT_VARIANT))

    def config(self, chosen: Mapping[str, Any] | None = None) -> TrainConfig:
        """Return the configuration: these settings, then `chosen`, then the variant's defaults.

        Raises InputError if a key is unknown or a value is invalid.
        """
        defaults = FAST if self.variant == "fast" else {"variant": self.variant}
        return parse(TrainConfig, {**defaults, **(chosen or {}), **self.values}, where=self.where)


def read_settings(path: Path | None, overrides: Mapping[str, Any] | Sequence[str]) -> Settings:
    """Read `train.yaml` (None: no settings), and apply overrides by name or as "key=value".

    Raises InputError if a key is unknown or a value is invalid.
    """
    values = {} if path is None else load_yaml(path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected settings by name")
    if isinstance(overrides, Mapping):
        given, option = dict(overrides), "settings"
    else:
        given, option = _parse_overrides(overrides), "--set"
    if values and "variant" not in given:
        Settings(values, str(path)).config()  # its errors name the file
    where = f"{path} with {option}" if values and "variant" in given else option
    settings = Settings({**values, **given}, where if given else str(path))
    settings.config()
    return settings


def _parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    given = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise InputError(f"--set {override}: expected key=value")
        given[key.strip()] = _value(text, where=f"--set {key}")
    return given


def _value(text: str, *, where: str) -> Any:
    """Parse one value as YAML; numbers like 1e-4, which are strings in YAML 1.1, become floats.

    Raises InputError if it is not valid.
    """
    if "e" in text.lower():
        with suppress(ValueError):
            return float(text)
    return parse_yaml(text, where=where)
