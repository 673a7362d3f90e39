"""A gallery: a Markdown page of photos with their PQ and errors, small enough to publish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from base.counting import counted
from base.errors import InputError
from base.files import write_bytes
from base.progress import track
from conversion.coco.categories import Category
from conversion.coco.panoptic import PanopticSet
from conversion.coco.panoptic_file import read_panoptic
from conversion.coco.png import SegmentIds
from evaluation.errors.kinds import Error
from evaluation.errors.priced import PricedErrors, price_matches
from evaluation.report.draw import Picture, draw_segments, sample_ids, shrink
from evaluation.report.lettering import names_by_id, names_for_one_line, render
from evaluation.report.page import check_options, choose
from evaluation.report.rows import read_true_photo
from evaluation.scores.matching import PhotoMatch, match_sets
from evaluation.scores.scores import percent

LONG_SIDE = 320  # pixels of each of the three pictures of a photo
QUALITY = 72  # of the JPEGs
WRONG = (235, 30, 30)  # the border of missed segments and false alarms
GROUP = 4  # photos of each group of the overview: best, typical, worst
GAP = 4  # pixels between pictures
BAND, LETTERS = 18, 12  # pixels of the captions in the overview and of their letters


@dataclass(frozen=True)
class GalleryPhoto:
    """A photo of the gallery: its three pictures side by side, its PQ and its errors in words.

    `caption` are the errors with names that can be drawn.
    """

    name: str
    pq: float
    errors: str
    caption: str
    outlines: str
    picture: Picture


def write_gallery(
    truth_json: Path,
    prediction_json: Path,
    page: Path,
    *,
    images: Path,
    title: str,
    rows: int = 100,
    seed: int = 0,
) -> Path:
    """Write the Markdown file `page`, and its pictures into a folder beside it; return the folder.

    The page shows `rows` photos of the ground truth, chosen at random with `seed` as in the report.
    The folder has the name of the page without its suffix; its `overview.jpg` shows four photos
    each with the highest, the middle and the lowest PQ of those shown. Raises InputError as
    `write_report` does, or if the folder contains other files.
    """
    check_options(rows=rows, seed=seed)
    folder = page.with_suffix("")
    _check_folder(folder)
    truth = read_panoptic(truth_json)
    prediction = read_panoptic(prediction_json, truth)
    priced = price_matches(tuple(match_sets(truth, prediction)), truth.categories)
    shown, drawable = [], names_for_one_line(truth.categories)
    for i in track(choose(len(truth.photos), rows, seed), "gallery"):
        match = priced.matches[i]
        picture = _draw(match, truth, prediction, images)
        errors = errors_in_words(priced.errors[i], truth.categories)
        caption = errors_in_words(priced.errors[i], drawable)
        outlines = outlines_in_words(match, truth.categories)
        name = match.truth.file_name
        shown.append(GalleryPhoto(name, match.pq, errors, caption, outlines, picture))
    for number, photo in enumerate(shown, start=1):
        _write_jpeg(folder / f"{number:03d}.jpg", photo.picture)
    _write_jpeg(folder / "overview.jpg", _overview(shown))
    pairs = zip(truth.categories, drawable, strict=True)
    unnamed = names_by_id(category for category, drawn in pairs if category != drawn)
    text = _page(title, folder.name, shown, priced, seed=seed, unnamed=unnamed)
    write_bytes(page, text.encode())
    return folder


def errors_in_words(errors: Sequence[Error], categories: Sequence[Category]) -> str:
    """Name and count the errors of a photo, such as `missed: 2 ladder; loose: barrier`."""
    names = {category.id: category.name for category in categories}
    by_kind: dict[str, Counter[str]] = {}
    for error in errors:
        segment = error.truth or error.prediction
        assert segment is not None, "an error has at least one segment"
        named = names[segment.category_id]
        if error.truth and error.prediction and error.kind.startswith("wrong category"):
            named += f" as {names[error.prediction.category_id]}"
        by_kind.setdefault(error.kind, Counter())[named] += 1
    parts = [
        f"{kind}: " + ", ".join(f"{n} {name}" if n > 1 else name for name, n in counts.items())
        for kind, counts in by_kind.items()
    ]
    return "; ".join(parts) or "none"


def outlines_in_words(match: PhotoMatch, categories: Sequence[Category]) -> str:
    """Say how exact the hits are: their mean IoU, and the lowest, as in `85.0 (barrier 61.3)`."""
    if not match.tp:
        return "no hits"
    names = {category.id: category.name for category in categories}
    worst = min(match.tp, key=lambda hit: hit.iou)
    mean = sum(hit.iou for hit in match.tp) / len(match.tp)
    return f"{percent(mean)} (lowest: {names[worst.truth.category_id]} {percent(worst.iou)})"


def _check_folder(folder: Path) -> None:
    """Raise InputError if the folder of the pictures contains anything but pictures."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: expected a folder for the pictures, found a file")
    others = [p.name for p in folder.glob("*") if p.suffix != ".jpg"] if folder.is_dir() else []
    if others:
        raise InputError(
            f"{folder}: expected only pictures of an earlier gallery, found {sorted(others)[0]};"
            " choose another name for the page"
        )


def _draw(match: PhotoMatch, truth: PanopticSet, prediction: PanopticSet, images: Path) -> Picture:
    """Draw a photo, its ground truth and its prediction side by side, with white gaps."""
    photo, true_ids = read_true_photo(truth, match.truth, images)
    photo = shrink(photo, long_side=LONG_SIDE)
    predicted_ids = prediction.segment_ids(match.prediction)
    sides = (
        (true_ids, match.truth, truth.categories, match.fn),
        (predicted_ids, match.prediction, prediction.categories, match.fp),
    )
    gap = np.full((len(photo), GAP, 3), 255, np.uint8)
    pictures = [photo]
    for ids, entry, categories, wrong in sides:
        drawn = draw_segments(photo, ids, entry.segments, categories)
        small = sample_ids(ids, photo.shape[:2])
        pictures += [gap, _with_borders(drawn, small, [segment.id for segment in wrong])]
    return np.hstack(pictures)


def _with_borders(picture: Picture, ids: SegmentIds, wrong: Sequence[int]) -> Picture:
    """Draw a red border around the segments whose ids are in `wrong`."""
    bordered = picture.copy()
    for segment_id in wrong:
        mask = np.equal(ids, segment_id).astype(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(bordered, contours, -1, WRONG, 1)
    return bordered


def _overview(shown: Sequence[GalleryPhoto]) -> Picture:
    """Return the best, the typical and the worst photos, one below another, with captions."""
    order = sorted(shown, key=lambda photo: -photo.pq)
    middle = max(0, (len(order) - GROUP) // 2)
    groups = {
        "best": order[:GROUP],
        "typical": order[middle : middle + GROUP],
        "worst": order[-GROUP:],
    }
    captioned = [
        _captioned(photo.picture, f"{group} · PQ {percent(photo.pq)} · errors: {photo.caption}")
        for group, photos in groups.items()
        for photo in photos
    ]
    width = max(picture.shape[1] for picture in captioned)
    return np.vstack([_widened(picture, width) for picture in captioned])


def _captioned(picture: Picture, caption: str) -> Picture:
    band = np.zeros((BAND, picture.shape[1], 3), np.uint8)
    render(caption, height=LETTERS, otherwise=caption).write(band, left=2, top=0)
    return np.vstack([band, picture])


def _widened(picture: Picture, width: int) -> Picture:
    return np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)), constant_values=255)


def _write_jpeg(path: Path, picture: Picture) -> None:
    encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    write_bytes(path, encoded.tobytes())


def _page(
    title: str,
    folder: str,
    shown: Sequence[GalleryPhoto],
    priced: PricedErrors,
    *,
    seed: int,
    unnamed: str,
) -> str:
    head = f"""\
# {_escaped(title)}

{priced.sentence()} ({counted(len(priced.matches), "photo")}, 95 % interval).

{len(shown)} of these photos, chosen at random with seed {seed}: the original, the ground truth and
the predicted segmentation. Missed segments have a red border in the ground truth, false alarms in
the prediction. The PQ of a photo counts its segments as if all had one category. Below each photo
are its errors, and the mean IoU of its hits: imprecise outlines cost points, too.

`pipeline.py report RUN --rows {len(shown)} --seed {seed} --gallery {folder}.md` wrote this page.

The four best, four typical ones and the four worst:

![The best, typical and worst photos]({folder}/overview.jpg)
"""
    if unnamed:
        head += f"\nNames for which there was no font: {_escaped(unnamed)}.\n"
    rows = [
        f"""
### {number}. {_escaped(photo.name)}: PQ {percent(photo.pq)}

![Original, ground truth and prediction]({folder}/{number:03d}.jpg)

Errors: {_escaped(photo.errors)}. IoU of the hits: {_escaped(photo.outlines)}
"""
        for number, photo in enumerate(shown, start=1)
    ]
    return head + "".join(rows)


def _escaped(text: str) -> str:
    """Escape what Markdown or HTML would interpret in a name."""
    for character in "\\`*_[]<>#|&":
        text = text.replace(character, f"\\{character}")
    return text
