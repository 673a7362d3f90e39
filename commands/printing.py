"""What several subcommands print."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from annotation.findings import Finding
from annotation.report.listing import finding_lines, findings_table

console = Console(highlight=False)


def print_findings(findings: Sequence[Finding]) -> None:
    """Print one line per finding, then a table that counts them by rule."""
    for line in finding_lines(findings):
        print(line)
    console.print(findings_table(findings))
