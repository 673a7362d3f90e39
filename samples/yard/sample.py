"""The sample set *yard*: a synthetic construction yard, so that the whole way runs anywhere."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import msgspec
import numpy as np

from annotation.labelme.annotation import Annotation, write_annotation
from base.errors import InputError
from base.files import write_bytes
from base.parsing import read_json, write_json, write_yaml
from base.progress import track
from samples.yard.flaws import plant_flaws
from samples.yard.photo import take_photo
from samples.yard.scene import HEIGHT, THINGS, WIDTH
from samples.yard.shapes import draw_shapes

STUFF = (
    "sky-other-merged",
    "dirt-merged",
    "wall-brick",
    "tree-merged",
    "fence-merged",
    "pavement-merged",
)
JPEG_QUALITY = 92
TRAIN_YAML = Path(__file__).parent / "train.yaml"


@dataclass(frozen=True)
class Sample:
    """`sample.json`: what was asked for; a stopped run goes on, a second does nothing."""

    images: int
    seed: int
    flaws: bool


def draw_yard(out: Path, *, images: int = 600, seed: int = 0, flaws: bool = False) -> None:
    """Draw the set into the folder `out`; InputError where something else lies there.

    `dataset.yaml` is written last: where it exists, the set is complete.
    """
    sample = Sample(images, seed, flaws)
    if _is_complete(out, sample):
        print(f"{out}: {images} photos are up to date")
        return
    write_json(out / "sample.json", sample)
    _draw_photos(out, sample)
    if flaws:
        plant_flaws(out, seed=seed)
    write_bytes(out / "train.yaml", TRAIN_YAML.read_bytes())
    write_yaml(out / "dataset.yaml", _config("yard-flaws" if flaws else "yard"))


def _is_complete(out: Path, sample: Sample) -> bool:
    """Whether this very set lies there whole; InputError where anything else does."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if not (out / "sample.json").is_file():
        raise InputError(f"{out}: holds files that `sample` did not draw; name another folder")
    found = read_json(out / "sample.json")
    if found != msgspec.to_builtins(sample):
        raise InputError(f"{out}: holds another sample, {found}; delete it or name another folder")
    return (out / "dataset.yaml").is_file()


def _config(name: str) -> dict[str, object]:
    """The least of a `dataset.yaml`; the rest keeps its defaults."""
    return {
        "name": name,
        "things": list(THINGS),
        "stuff": list(STUFF),
        "stuff_sources": [{"label_maps": "stuff"}],
        "split": {"train": 0.8, "test": 0.2, "seed": 0},
    }


def _draw_photos(out: Path, sample: Sample, *, workers: int | None = None) -> None:
    """Draw what is missing, each photo from its own random numbers, in as many processes as cores.

    A set with flaws is drawn anew: half of them may be planted already.
    """
    missing = [
        i
        for i in range(sample.images)
        if sample.flaws or not (out / "labelme" / f"{_name(i)}.json").exists()
    ]
    workers = workers or os.cpu_count() or 1
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
        done = pool.map(partial(_draw_one, out, sample.seed), missing, chunksize=4)
        for _ in track(done, "draw", total=len(missing)):
            pass


def _start_worker() -> None:
    cv2.setNumThreads(1)


def _name(index: int) -> str:
    return f"yard_{index:04d}"


def _draw_one(out: Path, seed: int, index: int) -> None:
    """Write photo, label map and, last, the Labelme file, so that it marks a finished photo."""
    rng = np.random.default_rng([seed, index])
    photo = take_photo(rng)
    shapes = draw_shapes(photo.things, rng)
    name = _name(index)
    jpeg = cv2.imencode(".jpg", photo.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    write_bytes(out / "images" / f"{name}.jpg", jpeg.tobytes())
    write_bytes(out / "stuff" / f"{name}.png", cv2.imencode(".png", photo.stuff)[1].tobytes())
    annotation = Annotation(f"../images/{name}.jpg", HEIGHT, WIDTH, shapes)
    write_annotation(out / "labelme" / f"{name}.json", annotation)
