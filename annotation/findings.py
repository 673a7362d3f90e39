"""What validation reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that validation reports; `file` is relative to the set, `shape` an index."""

    rule: str
    severity: Severity
    file: str
    shape: int | None
    message: str
    fix: str
