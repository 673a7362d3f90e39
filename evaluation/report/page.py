"""The report: one HTML page with pictures beside it, and the same figures as Markdown."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from annotation.photos.files import read_photo_bytes
from base.counting import counted
from base.errors import InputError
from base.files import RunningDigest, digest, write_bytes
from base.html import read_template
from base.parsing import parse, read_json, write_json
from base.progress import track
from base.syncing import sync_all
from conversion.coco.panoptic_file import read_panoptic
from evaluation.errors.priced import price_matches
from evaluation.errors.redraw import has_redraw, redraw_inputs, write_redraw
from evaluation.report.curves import HEIGHT, WIDTH, plot_stages
from evaluation.report.facts import collect_facts
from evaluation.report.figures import collect_figures
from evaluation.report.log import read_log
from evaluation.report.markdown import markdown
from evaluation.report.rows import photo_path, write_row
from evaluation.scores.scores import evaluate_sets, percent

FORMAT = 8  # increase it if the same input gives another page, so that old pages are rewritten

ERRORS, MARKDOWN, MANIFEST = "errors.csv", "report.md", "manifest.json"
TEMPLATE = Path(__file__).with_name("templates") / "report.html.j2"


@dataclass(frozen=True)
class Report:
    """Path of the page; `fresh` is False if it was already up to date."""

    page: Path
    fresh: bool


@dataclass(frozen=True)
class Manifest:
    """`manifest.json`: digests of the inputs of the page and of its files, and their names."""

    inputs: str
    outputs: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Document:
    """A text file that the page shows: its name, its content, and a link to it."""

    name: str
    text: str
    link: str


def write_report(
    truth_json: Path,
    prediction_json: Path,
    *,
    images: Path,
    folder: Path,
    log: Path,
    settings: Sequence[Path],
    title: str,
    rows: int = 100,
    seed: int = 0,
) -> Report:
    """Write `report/index.html` into `folder`, and the list of photos to annotate again.

    The page and its pictures show `rows` photos of the ground truth, chosen at random with `seed`;
    `report.md` has the same figures, and `errors.csv` all errors. The curves are those of
    `log`, and the files `settings` are shown as text; those that are missing are left out.
    `redraw.txt` and `redraw.json` list all photos with errors; they are written to `folder`.
    Nothing is written if all of this is up to date. Raises InputError if `rows` or `seed` is too
    small, if a file cannot be read, or if the files do not belong together.
    """
    check_options(rows=rows, seed=seed)
    out = folder / "report"
    page = out / "index.html"
    compared = redraw_inputs(truth_json, prediction_json)
    truth = read_panoptic(truth_json)
    chosen = choose(len(truth.photos), rows, seed)
    total = RunningDigest(str((FORMAT, title, rows, seed)), compared, log, *settings)
    for i in chosen:
        total.add(read_photo_bytes(photo_path(truth, truth.photos[i], images)))
    inputs = total.hexdigest()
    if _is_complete(out, inputs) and has_redraw(folder, inputs=compared):
        return Report(page, fresh=False)
    prediction = read_panoptic(prediction_json, truth)
    scores = evaluate_sets(truth, prediction)
    categories = (*prediction.categories, *truth.categories)
    (out / MANIFEST).unlink(missing_ok=True)  # written again when all files are complete
    write_redraw(folder, scores.matches, categories, inputs=compared)
    priced = price_matches(scores.matches, truth.categories)
    priced.write_csv(out / ERRORS)
    figures = collect_figures(scores, priced)
    written = [
        write_row(figures.photos[i], truth, prediction, images, out)
        for i in track(chosen, "report")
    ]
    stages = plot_stages(read_log(log)) if log.is_file() else ()
    photos = counted(len(figures.photos), "photo")
    about = f"{photos}: {prediction_json.name} compared with {truth_json.name}"
    html = read_template(TEMPLATE).render(
        title=title,
        about=about,
        figures=figures,
        facts=collect_facts(figures, chosen),
        stages=stages,
        log=_link(log, out),
        plot=(WIDTH, HEIGHT),
        documents=[_document(path, out) for path in settings if path.is_file()],
        errors=ERRORS,
        markdown=MARKDOWN,
        rows=written,
        seed=seed,
        percent=percent,
    )
    write_bytes(page, html.encode())
    text = markdown(figures, stages, written, title=title, about=about)
    write_bytes(out / MARKDOWN, text.encode())
    pictures = [picture.path for row in written for picture in row.pictures]
    files = (page.name, ERRORS, MARKDOWN, *pictures)
    sync_all(out)
    write_json(out / MANIFEST, Manifest(inputs, _digest(out, files), files), durable=True)
    return Report(page, fresh=True)


def _document(path: Path, out: Path) -> Document:
    return Document(path.name, path.read_text("utf-8", errors="replace"), _link(path, out))


def _link(path: Path, out: Path) -> str:
    """Return the address of a file from a page in the folder `out`."""
    return quote(Path(os.path.relpath(path, out)).as_posix())


def check_options(*, rows: int, seed: int) -> None:
    """Raise InputError if the number of photos or the seed is too small."""
    for name, value, least in (("rows", rows, 1), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"--{name}: expected {least} or more, found {value}")


def _is_complete(out: Path, inputs: str) -> bool:
    """Whether a page made from these inputs exists with all its pictures, none of them damaged."""
    path = out / MANIFEST
    try:
        manifest = parse(Manifest, read_json(path), where=str(path))
    except InputError:  # missing, or written in an earlier format
        return False
    return manifest.inputs == inputs and manifest.outputs == _digest(out, manifest.files)


def _digest(out: Path, files: Iterable[str]) -> str:
    """Digest of the files of the page."""
    return digest(*(out / name for name in files))


def choose(photos: int, rows: int, seed: int) -> list[int]:
    """Return the indices of `rows` of a number of photos, chosen at random with `seed`."""
    chosen: list[int] = np.random.default_rng(seed).permutation(photos)[:rows].tolist()
    return chosen
