"""The findings as one HTML page, each drawn on its photo; nothing outside the file is needed."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from annotation.dataset import Dataset
from annotation.findings import Finding
from annotation.labelme.photo_index import PhotoIndex
from annotation.photos.listing import PHOTO_SUFFIXES
from annotation.report.frames import HEIGHT, WIDTH
from annotation.report.listing import FileCounts, worst_files
from annotation.report.pictures import Task, draw_findings
from annotation.rules.validate import Checked
from base.files import write_bytes
from base.progress import track
from base.workers import in_processes

MOST_PICTURES = 50  # of one rule, some 15 KB each
MOST_LISTED = 500  # of one rule, without a picture
MOST_FILES = 15  # of the worst ones


@dataclass(frozen=True)
class Card:
    """One finding with its picture, a data URI, or without one."""

    finding: Finding
    picture: str


@dataclass(frozen=True)
class Section:
    """All findings of one rule; `more` are only counted."""

    rule: str
    severity: str
    count: int
    cards: tuple[Card, ...]
    listed: tuple[Finding, ...]
    more: int

    @property
    def pictured(self) -> bool:
        """Whether any finding could be drawn."""
        return any(card.picture for card in self.cards)


def write_page(path: Path, dataset: Dataset, checked: Checked) -> None:
    """Write the findings of a checked set to one HTML file.

    The first MOST_PICTURES of each rule, worst files first, are drawn on their photos.
    """
    files = worst_files(checked.findings)
    rank = {one.file: number for number, one in enumerate(files)}
    by_rule = defaultdict(list)
    for finding in sorted(checked.findings, key=lambda f: (rank[f.file], f.shape or 0)):
        by_rule[finding.rule].append(finding)
    pictures = _draw(dataset, checked, [f for fs in by_rule.values() for f in fs[:MOST_PICTURES]])
    sections = [_section(rule, found, pictures) for rule, found in by_rule.items()]
    order = ("error", "warning", "note")
    sections.sort(key=lambda s: (order.index(s.severity), -s.count, s.rule))
    html = _template().render(
        name=dataset.config.name,
        sections=sections,
        files=files[:MOST_FILES],
        cards=_totals(checked, files),
        most=max((section.count for section in sections), default=1),
        most_pictures=MOST_PICTURES,
        width=WIDTH,
        height=HEIGHT,
    )
    write_bytes(path, html.encode())


def _section(rule: str, found: Sequence[Finding], pictures: Mapping[Finding, bytes]) -> Section:
    drawn, rest = found[:MOST_PICTURES], found[MOST_PICTURES:]
    cards = tuple(Card(finding, _uri(pictures.get(finding))) for finding in drawn)
    more = max(0, len(rest) - MOST_LISTED)
    listed = tuple(rest[:MOST_LISTED])
    return Section(rule, found[0].severity, len(found), cards, listed, more)


def _uri(jpeg: bytes | None) -> str:
    return "" if jpeg is None else f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _draw(dataset: Dataset, checked: Checked, findings: Sequence[Finding]) -> dict[Finding, bytes]:
    """The pictures of findings, in all cores; each photo is decoded once."""
    tasks = list(_tasks(dataset, checked, findings))
    results = track(in_processes(draw_findings, tasks), "draw findings", total=len(tasks))
    return {
        finding: jpeg
        for task, jpegs in zip(tasks, results, strict=True)
        for finding, jpeg in zip(task.findings, jpegs, strict=True)
        if jpeg is not None
    }


def _tasks(dataset: Dataset, checked: Checked, findings: Sequence[Finding]) -> Iterator[Task]:
    by_file = defaultdict(list)
    for finding in findings:
        by_file[finding.file].append(finding)
    records = {dataset.relative(record.path): record for record in checked.records}
    index = PhotoIndex(dataset, dataset.photos())
    for file, own in by_file.items():
        if record := records.get(file):
            photo = record.photo or index.find(record.path, "").photo  # its namesake
            yield Task(record.path, photo, tuple(own))
        elif file.lower().endswith(PHOTO_SUFFIXES):
            yield Task(None, dataset.root / file, tuple(own))


def _totals(checked: Checked, files: Sequence[FileCounts]) -> list[tuple[str, int, str]]:
    """Name, number and a note for the page's head."""
    totals = [
        (f"{name}s", sum(getattr(one, f"{name}s") for one in files), note)
        for name, note in (
            ("error", "the photo cannot be converted"),
            ("warning", "probably wrong"),
            ("note", "worth knowing"),
        )
    ]
    usable = sum(record.usable for record in checked.records)
    return [*totals, ("usable", usable, f"of {len(checked.records)} annotation files")]


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(loader=loader, autoescape=True).get_template("findings.html.j2")
