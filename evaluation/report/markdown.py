"""The figures of the report as Markdown."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from base.counting import counted
from evaluation.report.curves import SPLITS, Plot, Stage
from evaluation.report.figures import Figures
from evaluation.report.rows import Row
from evaluation.scores.bootstrap import FEW_NOTE, Range
from evaluation.scores.scores import percent


def markdown(
    figures: Figures, stages: Sequence[Stage], rows: Sequence[Row], *, title: str, about: str
) -> str:
    """Return the text of `report.md`; `about` says what was compared."""
    parts = [f"# {_plain(title)}", f"{figures.sentence}.", _plain(about)]
    parts += ["## Scores", _table(("score", "value", "95 % interval", "also"), _cards(figures))]
    parts += [
        "The PQ of a group is the mean over its categories, not the product of its SQ and RQ."
    ]
    header: tuple[str, ...] = (
        "error",
        "number",
        "price",
        "95 % interval",
        "if only this were fixed",
    )
    parts += ["## What the errors cost", "In points of PQ.", _table(header, _kinds(figures))]
    header = (
        "category",
        "photos",
        "hits",
        "false alarms",
        "missed",
        "near misses",
        "PQ",
        "95 % interval",
    )
    header = (*header, "SQ", "RQ", "mask AP", "price", "95 % interval")
    parts += ["## Categories", _table(header, _categories(figures))]
    if any(row.is_rare for row in figures.categories):
        parts += [_plain(f"{FEW_NOTE}.")]
    parts += ["## Confusions", _table(("true", "predicted", "number"), _mistakes(figures))]
    if figures.reliability:
        error = percent(figures.reliability.error)
        parts += ["## Confidence", f"Expected calibration error: {error} points."]
        parts.append(_table(("confidence", "segments", "mean", "hits, %"), _bins(figures)))
    header = ("size", "true segments", "hits", "near misses", "other missed")
    sizes = [(f"{s.name}: {s.pixels}", s.number, s.hits, s.near, s.missed) for s in figures.sizes]
    parts += ["## Hits by size", _table(header, sizes)]
    for stage in stages:
        parts += [f"## Stage {_plain(stage.name)}, {counted(stage.epochs, 'epoch')}: last values"]
        parts.append(_table(("", *SPLITS), _lasts((*stage.losses, *stage.scores))))
    parts += ["## Photos", _table(("photo", "PQ", "price", "errors"), _photos(rows))]
    return "\n\n".join(parts) + "\n"


def _cards(figures: Figures) -> Iterable[Sequence[object]]:
    for card in figures.cards:
        yield card.name, card.value, _range(card.range), card.note


def _kinds(figures: Figures) -> Iterable[Sequence[object]]:
    for row in figures.kinds:
        alone = f"+{percent(row.alone)}"
        yield row.kind, row.number, percent(row.price), _range(row.range), alone


def _categories(figures: Figures) -> Iterable[Sequence[object]]:
    for row in figures.categories:
        q = row.quality
        counts = (row.photos, q.tp, q.fp, q.fn, q.near)
        scores = (percent(q.pq), _range(row.range), percent(q.sq), percent(q.rq))
        price = percent(row.price), _range(row.price_range)
        yield row.name + " *" * row.is_rare, *counts, *scores, percent(row.ap), *price


def _mistakes(figures: Figures) -> Iterable[Sequence[object]]:
    names = figures.confusion.names
    for cell in figures.confusion.mistakes:
        true = "(invented)" if cell.true is None else names[cell.true]
        predicted = "(missed)" if cell.predicted is None else names[cell.predicted]
        yield true, predicted, cell.number


def _bins(figures: Figures) -> Iterable[Sequence[object]]:
    for one in figures.reliability.bins if figures.reliability else ():
        limits = f"{one.index / 10:.1f} to {(one.index + 1) / 10:.1f}"
        yield limits, one.number, f"{one.confidence:.2f}", percent(one.share)


def _lasts(plots: Iterable[Plot]) -> Iterable[Sequence[object]]:
    for plot in plots:
        last = {curve.split: curve.last for curve in plot.curves}
        yield plot.name, *(last.get(split, "-") for split in SPLITS)


def _photos(rows: Iterable[Row]) -> Iterable[Sequence[object]]:
    for row in rows:
        match = row.photo.match
        kinds = ", ".join(row.photo.records[number].kind or "" for number in row.errors)
        yield match.truth.file_name, percent(match.pq), f"{100 * row.photo.price:.2f}", kinds


def _range(found: Range | None) -> str:
    return f"{percent(found[0])} to {percent(found[1])}" if found else "-"


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_plain(str(cell)) for cell in line)} |" for line in lines)


def _plain(text: str) -> str:
    """Escape what Markdown and HTML would interpret in text from data."""
    escaped = html.escape(text, quote=False).replace("\\", "\\\\")
    for character in "|*_`[]":
        escaped = escaped.replace(character, f"\\{character}")
    return " ".join(escaped.split())
