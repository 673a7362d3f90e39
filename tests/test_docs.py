"""The documents speak of everything that there is."""

from __future__ import annotations

import re
from pathlib import Path

from annotation.findings import RULES

DOCS = Path(__file__).parents[1] / "docs"


def test_every_rule_is_explained() -> None:
    text = (DOCS / "annotation.md").read_text().partition("## Findings")[2]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    explained = [rule for line in lines for rule in re.findall(r"`([a-z-]+)`", line.split("|")[1])]
    assert sorted(explained) == sorted(RULES)
