"""The yard sample set: rendered photos of construction yards, with Labelme files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from annotation.labelme.annotation import Annotation, write_annotation
from base.counting import counted
from base.errors import InputError
from base.files import write_bytes
from base.locks import LOCK_NAME, working_on
from base.parsing import read_json, write_json, write_yaml
from base.progress import track
from base.syncing import sync_all
from base.workers import in_processes
from samples.yard import stuff
from samples.yard.flaws import plant_flaws
from samples.yard.photo import render_photo
from samples.yard.scene import THINGS
from samples.yard.setting import HEIGHT, WIDTH
from samples.yard.shapes import draw_shapes

JPEG_QUALITY = 92


@dataclass(frozen=True)
class Sample:
    """The arguments of `sample`, as stored in `sample.json`, and whether all is rendered."""

    images: int
    seed: int
    flaws: bool
    complete: bool = False


def render_yard(out: str | Path, *, images: int = 600, seed: int = 0, flaws: bool = False) -> None:
    """Render the set into the folder `out`, or complete it after a stopped run.

    `sample.json` says at the end that the set is complete: other commands may write a
    `dataset.yaml` into an unfinished one.

    Raises InputError if there is no photo to render, or if the folder contains other files or
    another sample.
    """
    out = Path(out)
    if images < 1:
        raise InputError(f"--images: expected 1 or more, found {images}")
    sample = Sample(images, seed, flaws)
    with working_on(out, "sample"):
        if _is_complete(out, sample):
            print(f"{out}: up to date ({counted(images, 'photo')})")
            return
        write_json(out / "sample.json", sample, durable=True)
        _render_photos(out, sample)
        if flaws:
            plant_flaws(out, seed=seed)
        sync_all(out)
        write_yaml(out / "dataset.yaml", _config("yard-flaws" if flaws else "yard"))
        write_json(out / "sample.json", replace(sample, complete=True), durable=True)
    print(f"{out}: {counted(images, 'photo')} rendered")


def _is_complete(out: Path, sample: Sample) -> bool:
    """Return whether the folder contains the complete set."""
    if not any(one.name != LOCK_NAME for one in out.iterdir()):
        return False
    if not (out / "sample.json").is_file():
        raise InputError(
            f"{out}: contains files that `sample` did not write; choose another folder"
        )
    found = read_json(out / "sample.json")
    # samples of earlier versions do not say whether they are complete
    complete = not isinstance(found, dict) or found.pop("complete", True)
    if found != {"images": sample.images, "seed": sample.seed, "flaws": sample.flaws}:
        raise InputError(
            f"{out}: contains another sample, {found}; delete it or choose another folder"
        )
    return bool(complete) and (out / "dataset.yaml").is_file()


def _config(name: str) -> dict[str, object]:
    """Return the keys of `dataset.yaml` that have no suitable default."""
    return {
        "name": name,
        "things": list(THINGS),
        "stuff": list(stuff.NAMES),
        "stuff_sources": [{"label_maps": "stuff"}],
        "split": {"train": 0.8, "test": 0.2, "seed": 0},
    }


def _render_photos(out: Path, sample: Sample) -> None:
    """Render missing photos, each with its own random numbers, in one process per core.

    A set with flaws is rendered from the start, because flaws may already have been planted.
    """
    missing = [
        i
        for i in range(sample.images)
        if sample.flaws or not (out / "labelme" / f"{_name(i)}.json").exists()
    ]
    render = partial(_render_one, out, sample.seed)
    done = in_processes(render, missing, prepare=_use_one_thread, at_once=1)
    for _ in track(done, "render", total=len(missing)):
        pass


def _use_one_thread() -> None:
    cv2.setNumThreads(1)  # there is a process per core


def _name(index: int) -> str:
    return f"yard_{index:04d}"


def _render_one(out: Path, seed: int, index: int) -> None:
    """Write a photo, its label map and, last, its Labelme file, which marks it as finished."""
    rng = np.random.default_rng([seed, index])
    photo = render_photo(rng)
    shapes = draw_shapes(photo.things, rng)
    name = _name(index)
    jpeg = cv2.imencode(".jpg", photo.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    png = cv2.imencode(".png", photo.stuff)[1]
    write_bytes(out / "images" / f"{name}.jpg", jpeg.tobytes(), durable=True)
    write_bytes(out / "stuff" / f"{name}.png", png.tobytes(), durable=True)
    annotation = Annotation(f"../images/{name}.jpg", HEIGHT, WIDTH, shapes)
    write_annotation(out / "labelme" / f"{name}.json", annotation, durable=True)
