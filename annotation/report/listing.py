"""The findings for the terminal: one line each, counts by rule, the worst files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from annotation.dataset import Dataset
from annotation.findings import Finding, Severity
from annotation.rules.checked import Checked
from base.counting import counted
from base.naming import printable

NO_FINDINGS = "no findings"
MOST_LINES = 200
MOST_FILES = 10
COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


@dataclass(frozen=True)
class FileCounts:
    """The numbers of findings of one file."""

    file: str
    errors: int
    warnings: int
    notes: int


def worst_files(findings: Sequence[Finding]) -> list[FileCounts]:
    """Return all files with findings, sorted by errors, then warnings, then notes."""
    counts = Counter((finding.file, finding.severity) for finding in findings)
    severities: tuple[Severity, ...] = ("error", "warning", "note")
    files = [
        FileCounts(file, *(counts[file, severity] for severity in severities))
        for file in dict.fromkeys(finding.file for finding in findings)
    ]
    return sorted(files, key=lambda one: (-one.errors, -one.warnings, -one.notes, one.file))


def finding_lines(findings: Sequence[Finding], *, most: int = MOST_LINES) -> Iterator[str]:
    """Yield a line for each of the first findings, errors first, and the number of the others."""
    order = list(COLOURS)
    ranked = sorted(findings, key=lambda finding: order.index(finding.severity))
    for f in islice(ranked, most):
        place = f.file if f.shape is None else f"{f.file}: shapes[{f.shape}]"
        yield printable(f"{f.severity:7} {place}: {f.message} [{f.rule}; {f.fix}]")
    if len(findings) > most:
        yield f"... {len(findings) - most:,} more, see --json or --html"


def checked_line(dataset: Dataset, checked: Checked) -> str:
    """Say what was checked: the numbers of annotation files and of the instances of each thing."""
    files = checked.annotations
    excluded = sum(one.excluded for one in files)
    counts = Counter[str]()
    for one in files:
        counts.update(dict(zip(dataset.config.things, one.counts, strict=False)))
    listed = ", ".join(f"{count:,} {thing}" for thing, count in counts.most_common() if count)
    usable = sum(one.usable for one in files)
    text = f"checked: {counted(len(files), 'annotation file')}, {usable:,} usable"
    text += f", {excluded:,} excluded" if excluded else ""
    return printable(
        text + f"; {counted(counts.total(), 'thing')}" + (f": {listed}" if listed else "")
    )


def findings_table(findings: Sequence[Finding]) -> RenderableType:
    """Return tables for rich: counts by rule, and the worst files.

    Markup in the data has no effect.
    """
    if not findings:
        return Text(NO_FINDINGS)
    rules = Table("severity", "rule", title="findings by rule", title_justify="left")
    rules.add_column("findings", justify="right")
    rules.add_column("files", justify="right")
    counts = Counter((finding.severity, finding.rule) for finding in findings)
    files = Counter(rule for rule, _ in {(finding.rule, finding.file) for finding in findings})
    order = list(COLOURS)
    for (severity, rule), count in sorted(
        counts.items(), key=lambda item: (order.index(item[0][0]), -item[1], item[0][1])
    ):
        name = Text(severity, COLOURS[severity])
        rules.add_row(name, Text(rule), f"{count:,}", f"{files[rule]:,}")
    return Group(rules, _files_table(findings))


def _files_table(findings: Sequence[Finding]) -> Table:
    table = Table("file", title="worst files", title_justify="left")
    for name in ("errors", "warnings", "notes"):
        table.add_column(name, justify="right")
    worst = worst_files(findings)
    for one in worst[:MOST_FILES]:
        numbers = (str(count or "") for count in (one.errors, one.warnings, one.notes))
        table.add_row(Text(printable(one.file), overflow="fold"), *numbers)
    if len(worst) > MOST_FILES:
        table.caption = f"and {counted(len(worst) - MOST_FILES, 'more file')} with findings"
    return table
