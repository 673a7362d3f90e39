"""The report: one HTML page with scores, loss curves and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotation.photos.files import read_photo_bytes
from base.errors import InputError
from base.files import RunningDigest, write_bytes
from base.html import read_template
from base.parsing import parse, read_json, write_json
from base.progress import track
from conversion.coco.panoptic_file import read_panoptic
from evaluation.errors.priced import price_matches
from evaluation.errors.redraw import has_redraw, redraw_inputs, write_redraw
from evaluation.report.curves import draw_curves, read_log
from evaluation.report.rows import photo_path, write_row
from evaluation.scores.scores import Scores, evaluate_sets, percent

FORMAT = 5  # increase it if the same input gives another page, so that old pages are rewritten

ERRORS = "errors.csv"
TEMPLATE = Path(__file__).with_name("report.html.j2")


@dataclass(frozen=True)
class Report:
    """Path of the page; `fresh` is False if it was already up to date."""

    page: Path
    fresh: bool


@dataclass(frozen=True)
class Manifest:
    """`manifest.json`: a digest of the inputs of the page, and the names of all its files."""

    inputs: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """A score shown in large type at the top of the page."""

    name: str
    value: str
    note: str


def write_report(
    truth_json: Path,
    prediction_json: Path,
    *,
    images: Path,
    log: Path,
    out: Path,
    redraw: Path,
    title: str,
    rows: int = 100,
    seed: int = 0,
) -> Report:
    """Write `out/index.html`, its pictures and errors, and the list of photos to annotate again.

    The page shows `rows` photos of the ground truth, chosen at random with `seed`. `redraw.txt`
    and `redraw.json` list all photos with errors; they are written to the folder `redraw`.
    Nothing is written if all of this is up to date. Raises InputError if `rows` or `seed` is too
    small, if a file cannot be read, or if the files do not belong together.
    """
    _check_options(rows=rows, seed=seed)
    page = out / "index.html"
    compared = redraw_inputs(truth_json, prediction_json)
    truth = read_panoptic(truth_json)
    chosen = np.random.default_rng(seed).permutation(len(truth.photos))[:rows].tolist()
    total = RunningDigest(str((FORMAT, title, rows, seed)), compared, log)
    for i in chosen:
        total.add(read_photo_bytes(photo_path(truth, truth.photos[i], images)))
    inputs = total.hexdigest()
    if _is_complete(out, inputs) and has_redraw(redraw, inputs=compared):
        return Report(page, fresh=False)
    prediction = read_panoptic(prediction_json, truth)
    scores = evaluate_sets(truth, prediction)
    categories = (*prediction.categories, *truth.categories)
    write_redraw(redraw, scores.matches, categories, inputs=compared)
    priced = price_matches(scores.matches, truth.categories)
    priced.write_csv(out / ERRORS)
    shown = [scores.matches[i] for i in chosen]
    written = [write_row(m, truth, prediction, images, out) for m in track(shown, "report")]
    curves = [p.name for p in draw_curves(read_log(log), out)] if log.is_file() else []
    html = read_template(TEMPLATE).render(
        title=title,
        photos=len(truth.photos),
        truth_name=truth_json.name,
        prediction_name=prediction_json.name,
        sentence=priced.sentence(),
        kinds=priced.most_expensive(),
        errors=ERRORS,
        cards=_cards(scores),
        categories=list(zip(truth.categories, scores.quality.categories.values(), strict=True)),
        curves=curves,
        rows=written,
        seed=seed,
        percent=percent,
    )
    write_bytes(page, html.encode())
    pictures = [picture.path for row in written for picture in row.pictures]
    write_json(out / "manifest.json", Manifest(inputs, (page.name, ERRORS, *curves, *pictures)))
    return Report(page, fresh=True)


def _check_options(*, rows: int, seed: int) -> None:
    for name, value, least in (("rows", rows, 1), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"--{name}: expected {least} or more, found {value}")


def _is_complete(out: Path, inputs: str) -> bool:
    """Whether a page made from these inputs exists with all its pictures."""
    path = out / "manifest.json"
    try:
        manifest = parse(Manifest, read_json(path), where=str(path))
    except InputError:  # missing, or written in an earlier format
        return False
    return manifest.inputs == inputs and all((out / name).is_file() for name in manifest.files)


def _cards(scores: Scores) -> list[Card]:
    quality, cards = scores.quality, []
    means = (("PQ", quality.all), ("PQ things", quality.things), ("PQ stuff", quality.stuff))
    for name, mean in means:
        pq, sq, rq = (percent(v if mean.n else None) for v in (mean.pq, mean.sq, mean.rq))
        cards.append(Card(name, pq, f"SQ {sq} · RQ {rq}"))
    for name, ap in (("box AP", scores.box_ap), ("mask AP", scores.mask_ap)):
        if ap is not None:
            cards.append(Card(name, percent(ap.ap), f"AP50 {percent(ap.ap50)}"))
    return cards
