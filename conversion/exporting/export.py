"""The built set in other formats: YOLO segmentation, and semantic PNGs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from annotation.dataset import Dataset
from base.errors import InputError
from base.files import inside, write_bytes
from base.links import link_or_copy
from base.parsing import write_json
from base.progress import track
from conversion.coco.categories import Category
from conversion.coco.panoptic import PanopticSet, Photo, read_panoptic
from conversion.coco.png import VOID
from conversion.exporting.outline import outline_of_mask
from conversion.stuff.meanings import UNKNOWN, translate

Format = Literal["yolo-seg", "semantic"]
VOID_CLASS = 255


def export(dataset: Dataset, format: Format, out: Path) -> int:
    """Write all splits of the built set to the new folder `out`; return the number of photos.

    The folder appears when it is whole. InputError where it is there already, or nothing is built.
    """
    splits = _read_splits(dataset)
    if out.exists() and (not out.is_dir() or any(out.iterdir()) or out.samefile(Path.cwd())):
        raise InputError(f"{out}: exists already; expected a new or an empty folder elsewhere")
    write = _write_yolo if format == "yolo-seg" else _write_semantic
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        write(dataset, splits, unfinished)
        unfinished.chmod(0o755)  # mkdtemp makes folders that only their owner may read
        unfinished.replace(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return sum(len(panoptic.photos) for panoptic in splits.values())


def _read_splits(dataset: Dataset) -> dict[str, PanopticSet]:
    paths = sorted((dataset.panoptic / "annotations").glob("panoptic_*.json"))
    if not paths or not (dataset.panoptic / "manifest.json").is_file():
        raise InputError(f"{dataset.panoptic}: not built; run `pipeline.py convert {dataset.root}`")
    return {path.stem.removeprefix("panoptic_"): read_panoptic(path) for path in paths}


def _photos(splits: dict[str, PanopticSet]) -> Iterator[tuple[str, PanopticSet, Photo]]:
    total = sum(len(panoptic.photos) for panoptic in splits.values())
    everything = ((s, panoptic, p) for s, panoptic in splits.items() for p in panoptic.photos)
    yield from track(everything, "export", total=total)


# --- semantic PNGs ---


def _write_semantic(dataset: Dataset, splits: dict[str, PanopticSet], out: Path) -> None:
    """`<split>/<photo>.png` with class ids 0..N-1 by category id, 255 is void; `classes.json`."""
    categories = next(iter(splits.values())).categories
    class_of = {c.id: number for number, c in enumerate(categories)}
    if len(categories) > VOID_CLASS:
        raise InputError(f"{dataset.root}: expected at most 255 categories, got {len(categories)}")
    for split, panoptic, photo in _photos(splits):
        classes = {s.id: class_of[s.category_id] for s in photo.segments}
        pixels = translate(panoptic.segment_ids(photo), {VOID: VOID_CLASS, **classes})
        if pixels.max() == UNKNOWN:
            raise InputError(f"{panoptic.json_path}: {photo.png_name} has ids without a segment")
        path = inside(out / split, photo.png_name, where=str(panoptic.json_path))
        write_bytes(path, cv2.imencode(".png", pixels.astype(np.uint8))[1].tobytes())
    write_json(out / "classes.json", _class_values(categories), indent=2)


def _class_values(categories: Sequence[Category]) -> dict[str, object]:
    classes = [
        {
            "id": number,
            "name": c.name,
            "category_id": c.id,
            "isthing": int(c.isthing),
            "color": c.color,
        }
        for number, c in enumerate(categories)
    ]
    return {"classes": classes, "void": VOID_CLASS}


# --- YOLO segmentation ---


def _write_yolo(dataset: Dataset, splits: dict[str, PanopticSet], out: Path) -> None:
    """`images/<split>/`, `labels/<split>/*.txt` and `data.yaml`; the classes are the things."""
    things = [c for c in next(iter(splits.values())).categories if c.isthing]
    class_of = {c.id: number for number, c in enumerate(things)}
    images = dataset.root.resolve() / "images"
    for split, panoptic, photo in _photos(splits):
        where = str(panoptic.json_path)
        # the name of its PNG is unique, but for .png; photos a.jpg and a.png would share a.txt
        stem, suffix = photo.png_name.removesuffix(".png"), PurePosixPath(photo.file_name).suffix
        source = inside(images, photo.file_name, where=where)
        target = inside(out / "images" / split, stem + suffix, where=where)
        link_or_copy(source, target, kind="symbolic")
        path = inside(out / "labels" / split, f"{stem}.txt", where=where)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(_lines(panoptic, photo, class_of)))
    for split in splits:
        (out / "images" / split).mkdir(parents=True, exist_ok=True)
    (out / "data.yaml").write_text(_data_yaml(list(splits), things), "utf-8")


def _lines(panoptic: PanopticSet, photo: Photo, class_of: dict[int, int]) -> Iterator[str]:
    """One line an instance: its class and its outline in shares of width and height; no crowds."""
    ids = panoptic.segment_ids(photo)
    for segment in photo.segments:
        if segment.category_id not in class_of or segment.iscrowd:
            continue
        x, y, width, height = segment.bbox
        mask: NDArray[np.bool_] = ids[y : y + height, x : x + width] == segment.id
        points = (outline_of_mask(mask) + np.array([x, y])) / [photo.width, photo.height]
        numbers = " ".join(f"{value:.6g}" for value in points.ravel().tolist())
        yield f"{class_of[segment.category_id]} {numbers}\n"


def _data_yaml(splits: Sequence[str], things: Sequence[Category]) -> str:
    """Trainers ask for `train` and `val`: a set without val is validated on its test photos."""
    names = {split: f"images/{split}" for split in splits}
    if "val" not in names and "test" in names:
        names["val"] = names["test"]
    values = {**names, "names": {number: c.name for number, c in enumerate(things)}}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
