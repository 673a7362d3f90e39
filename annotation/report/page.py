"""The findings as one self-contained HTML page that shows each of them on its photo."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from annotation.dataset import Dataset
from annotation.findings import Finding
from annotation.labelme.photo_index import PhotoIndex
from annotation.photos.listing import PHOTO_SUFFIXES
from annotation.photos.processes import prepare_process
from annotation.report.frames import HEIGHT, WIDTH
from annotation.report.listing import NO_FINDINGS, FileCounts, worst_files
from annotation.report.pictures import PictureTask, draw_findings
from annotation.rules.checked import Checked
from base.counting import counted
from base.files import write_bytes
from base.html import read_template
from base.progress import track
from base.workers import in_processes

TEMPLATE = Path(__file__).with_name("findings.html.j2")
MOST_PICTURES = 50  # per rule, about 15 KB each
MOST_LISTED = 500  # findings per rule without a picture
MOST_FILES = 15  # in the list of the worst files


@dataclass(frozen=True)
class Card:
    """One finding with its picture as a data URI, which may be empty."""

    finding: Finding
    picture: str


@dataclass(frozen=True)
class Section:
    """The findings of one rule: with a picture, as text, and the number of all others."""

    rule: str
    severity: str
    count: int
    cards: tuple[Card, ...]
    listed: tuple[Finding, ...]
    more: int

    @property
    def pictured(self) -> bool:
        """Whether any finding has a picture."""
        return any(card.picture for card in self.cards)


def write_page(path: Path, dataset: Dataset, checked: Checked) -> None:
    """Write the findings of a checked set to one HTML file.

    The first MOST_PICTURES of each rule have a picture; the worst files come first.
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
    html = read_template(TEMPLATE).render(
        name=dataset.config.name,
        sections=sections,
        files=files[:MOST_FILES],
        cards=_totals(checked, files),
        no_findings=NO_FINDINGS,
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
    """Draw the pictures of findings on all cores; each photo is decoded once."""
    tasks = list(_picture_tasks(dataset, checked, findings))
    drawn = in_processes(draw_findings, tasks, prepare=prepare_process)
    results = track(drawn, "draw findings", total=len(tasks))
    return {
        finding: jpeg
        for task, jpegs in zip(tasks, results, strict=True)
        for finding, jpeg in zip(task.findings, jpegs, strict=True)
        if jpeg is not None
    }


def _picture_tasks(
    dataset: Dataset, checked: Checked, findings: Sequence[Finding]
) -> Iterator[PictureTask]:
    by_file = defaultdict(list)
    for finding in findings:
        by_file[finding.file].append(finding)
    checked_files = {dataset.relative(one.path): one for one in checked.annotations}
    index = PhotoIndex(dataset, dataset.photos())
    for file, own in by_file.items():
        if one := checked_files.get(file):
            photo = one.photo or index.find(one.path, "").photo  # the photo with the same name
            yield PictureTask(one.path, photo, tuple(own))
        elif file.lower().endswith(PHOTO_SUFFIXES):
            yield PictureTask(None, dataset.root / file, tuple(own))


def _totals(checked: Checked, files: Sequence[FileCounts]) -> list[tuple[str, int, str]]:
    """Return a name, a number and a note for each total at the top of the page."""
    totals = [
        (f"{name}s", sum(getattr(one, f"{name}s") for one in files), note)
        for name, note in (
            ("error", "the photo cannot be converted"),
            ("warning", "probably wrong"),
            ("note", "worth knowing"),
        )
    ]
    usable = sum(one.usable for one in checked.annotations)
    return [
        *totals,
        ("usable", usable, f"of {counted(len(checked.annotations), 'annotation file')}"),
    ]
