"""The report: one HTML page with scores, loss curves and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import jinja2
import numpy as np

from base.errors import InputError
from base.files import digest, inside, write_bytes
from base.parsing import parse, read_json, write_json
from base.progress import track
from conversion.coco.panoptic import PanopticSet, read_panoptic
from evaluation.report.curves import draw_curves, read_log
from evaluation.report.draw import Picture, draw_segments, shrink
from evaluation.scores.matching import PhotoMatch
from evaluation.scores.scores import Scores, evaluate_sets, percent

FORMAT = 2  # raise it when the same input gives another page, so that old pages are made anew
LONG_SIDE = 1600  # pixels of a picture: more than any page shows


@dataclass(frozen=True)
class Row:
    """One photo of the report; `pictures` are (path relative to the page, caption)."""

    name: str
    pq: float
    hits: int
    false: int
    missed: int
    pictures: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Report:
    """Where the page is; `fresh` is False where the same inputs had made it before."""

    page: Path
    fresh: bool


@dataclass(frozen=True)
class Manifest:
    """`manifest.json`: a digest of what the page was made from, and all its files."""

    inputs: str
    files: tuple[str, ...]


def write_report(
    truth_json: Path,
    prediction_json: Path,
    *,
    images: Path,
    log: Path,
    out: Path,
    title: str,
    rows: int = 100,
    seed: int = 0,
) -> Report:
    """Write `out/index.html` with its pictures beside it.

    Does nothing where the page was made from the same inputs. `rows` photos are drawn at random
    from the truth's photos with `seed`. Raises InputError for files that do not fit together.
    """
    _check_options(rows=rows, seed=seed)
    page = out / "index.html"
    inputs = digest(str((FORMAT, title, rows, seed)), truth_json, prediction_json, log)
    if _is_whole(out, inputs):
        return Report(page, fresh=False)
    truth, prediction = read_panoptic(truth_json), read_panoptic(prediction_json)
    scores = evaluate_sets(truth, prediction)
    chosen = _draw_lots(scores.matches, rows, seed)
    drawn = [_row(match, truth, prediction, images, out) for match in track(chosen, "report")]
    curves = [p.name for p in draw_curves(read_log(log), out)] if log.is_file() else []
    html = _template().render(
        title=title,
        photos=len(truth.photos),
        truth_name=truth_json.name,
        prediction_name=prediction_json.name,
        cards=_cards(scores),
        categories=[(c, scores.quality.categories[c.name]) for c in truth.categories],
        curves=curves,
        rows=drawn,
        seed=seed,
        percent=percent,
    )
    write_bytes(page, html.encode())
    pictures = [path for row in drawn for path, _ in row.pictures]
    write_json(out / "manifest.json", Manifest(inputs, (page.name, *curves, *pictures)))
    return Report(page, fresh=True)


def _check_options(*, rows: int, seed: int) -> None:
    for name, value, least in (("rows", rows, 1), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"{name}: expected {least} or more, got {value}")


def _is_whole(out: Path, inputs: str) -> bool:
    """Whether a page of these inputs is there with all its pictures."""
    path = out / "manifest.json"
    try:
        manifest = parse(Manifest, read_json(path), where=str(path))
    except InputError:  # none yet, or of an earlier format
        return False
    return manifest.inputs == inputs and all((out / name).is_file() for name in manifest.files)


def _draw_lots(matches: Sequence[PhotoMatch], rows: int, seed: int) -> list[PhotoMatch]:
    order = np.random.default_rng(seed).permutation(len(matches))[:rows]
    return [matches[i] for i in order.tolist()]


def _row(
    match: PhotoMatch, truth: PanopticSet, prediction: PanopticSet, images: Path, out: Path
) -> Row:
    photo = _read_photo(inside(images, match.truth.file_name, where=str(truth.json_path)))
    ids = truth.segment_ids(match.truth)
    if photo.shape[:2] != ids.shape:
        raise InputError(
            f"{match.truth.file_name}: expected {ids.shape[1]}x{ids.shape[0]} pixels as"
            f" {truth.json_path} says, got {photo.shape[1]}x{photo.shape[0]}; convert the set again"
        )
    photo = shrink(photo, long_side=LONG_SIDE)
    true = draw_segments(
        photo,
        ids,
        match.truth.segments,
        truth.categories,
        wrong=[s.id for s in match.missed],
    )
    predicted = draw_segments(
        photo,
        prediction.segment_ids(match.prediction),
        match.prediction.segments,
        prediction.categories,
        wrong=[s.id for s in match.false],
    )
    kinds = (("original", photo), ("ground truth", true), ("predicted segmentation", predicted))
    pictures = []
    for number, (caption, picture) in enumerate(kinds):
        relative = f"pictures/{match.truth.id:06d}_{number}.jpg"
        _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
        write_bytes(out / relative, encoded.tobytes())
        pictures.append((relative, caption))
    counts = (len(match.hits), len(match.false), len(match.missed))
    return Row(match.truth.file_name, match.pq, *counts, tuple(pictures))


def _read_photo(path: Path) -> Picture:
    try:
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:  # more pixels than OpenCV takes
        bgr = None
    if bgr is None:
        raise InputError(f"{path}: cannot be read as a photo")
    return np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8)


def _cards(scores: Scores) -> list[tuple[str, str, str]]:
    quality, cards = scores.quality, []
    means = (("PQ", quality.all), ("PQ things", quality.things), ("PQ stuff", quality.stuff))
    for name, mean in means:
        pq, sq, rq = (percent(v if mean.n else None) for v in (mean.pq, mean.sq, mean.rq))
        cards.append((name, pq, f"SQ {sq} · RQ {rq}"))
    for name, ap in (("box AP", scores.box_ap), ("mask AP", scores.mask_ap)):
        if ap is not None:
            cards.append((name, percent(ap.ap), f"AP50 {percent(ap.ap50)}"))
    return cards


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(loader=loader, autoescape=True).get_template("report.html.j2")
