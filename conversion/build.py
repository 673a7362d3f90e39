"""Build `panoptic/`: the COCO panoptic set of a data set's Labelme files and stuff."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from annotation.dataset import Dataset
from annotation.files import InputError, digest, read_json, write_json
from annotation.labelme import Shape, read_annotation
from annotation.photos import PhotoIndex
from annotation.progress import track
from annotation.validate import Record
from conversion.categories import Category, dataset_categories
from conversion.merge import merge
from conversion.panoptic import (
    PanopticSet,
    Photo,
    SegmentIds,
    category_values,
    png_names,
    write_panoptic,
    write_segment_ids,
)
from conversion.raster import encode_mask
from conversion.split import split_photos
from conversion.stuff import label_map_paths, read_stuff

SPLITS = ("train", "test")
FORMAT = 3  # raise it when the same input gives other bytes, so that old sets are built anew


@dataclass(frozen=True)
class Built:
    """What `convert` did: `fresh` is False where the set was up to date already."""

    fresh: bool
    photos: dict[str, int]
    segments: int
    hidden: int
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Painted:
    photo: Photo
    instances: tuple[dict[str, Any], ...]
    hidden: int


def convert(dataset: Dataset, records: Sequence[Record]) -> Built:
    """Build `panoptic/` from the usable annotations; the others are listed as left out.

    Photos with the flag `exclude` are left out without a word. The manifest goes first and comes
    back last: without it the set is unfinished and is built anew. Raises InputError for a wrong
    stuff name, label map or group file.
    """
    inputs = _inputs_digest(dataset, records)
    manifest_path = dataset.panoptic / "manifest.json"
    if manifest_path.is_file() and (manifest := read_json(manifest_path))["inputs"] == inputs:
        return Built(fresh=False, **manifest["result"])
    wanted = {r.photo: r for r in records if r.usable and r.photo and not r.excluded}
    if not wanted:
        raise InputError(f"{dataset.labelme}: no usable annotation; see `validate`")
    manifest_path.unlink(missing_ok=True)
    left_out = tuple(dataset.relative(r.path) for r in records if not r.usable)
    built = replace(_build(dataset, wanted), left_out=left_out)
    _write_manifest(manifest_path, dataset, inputs, built)
    return built


def _inputs_digest(dataset: Dataset, records: Sequence[Record]) -> str:
    parts: list[bytes | str | Path] = [str(FORMAT), dataset.root / "dataset.yaml"]
    if dataset.config.split.group_by:
        parts.append(dataset.inside(dataset.config.split.group_by, where="split.group_by"))
    for one in records:
        parts.append(f"{dataset.relative(one.path)} {one.usable} {one.excluded}")
        if one.photo and one.usable:  # what is not usable may not even be a file
            parts += [one.path, one.photo, *label_map_paths(dataset, one.photo)]
    return digest(*parts)


def _build(dataset: Dataset, wanted: dict[Path, Record]) -> Built:
    where = str(dataset.root / "dataset.yaml")
    categories = dataset_categories(dataset.config.things, dataset.config.stuff, where=where)
    paths = sorted(wanted)
    split = split_photos(dataset, paths)
    names = png_names([path.relative_to(dataset.images).as_posix() for path in paths])
    painted: dict[str, list[_Painted]] = {name: [] for name in SPLITS}
    used = 0  # segment ids so far: they are unique in the whole set
    known = PhotoIndex(dataset, dataset.photos()).known_words
    for number, path in enumerate(track(paths, "convert"), start=1):
        file_name = path.relative_to(dataset.images).as_posix()
        height, width = wanted[path].size or (0, 0)
        photo = Photo(number, file_name, width, height, names[file_name], ())
        shapes = read_annotation(wanted[path].path, known=known).shapes
        one = _paint(dataset, split[path], photo, shapes, categories, used)
        used += len(one.photo.segments)
        painted[split[path]].append(one)
    for name in SPLITS:
        _write_split(dataset, name, categories, painted[name])
    counts = {name: len(painted[name]) for name in SPLITS}
    hidden = sum(one.hidden for name in SPLITS for one in painted[name])
    return Built(True, counts, used, hidden, ())


def _paint(
    dataset: Dataset,
    split: str,
    photo: Photo,
    shapes: Sequence[Shape],
    categories: tuple[Category, ...],
    used: int,
) -> _Painted:
    """Merge one photo and write its PNG; its segment ids follow on `used`."""
    path = dataset.images / photo.file_name
    stuff = read_stuff(dataset, path, categories, height=photo.height, width=photo.width)
    merged = merge(shapes, stuff, categories, dataset.config)
    table = np.zeros(int(merged.ids.max()) + 1, np.uint32)  # local id to id in the set
    segments = []
    for count, segment in enumerate(merged.segments, start=1):
        table[segment.id] = used + count
        segments.append(replace(segment, id=used + count))
    ids = table[merged.ids]
    write_segment_ids(dataset.panoptic / f"panoptic_{split}" / photo.png_name, ids)
    photo = replace(photo, segments=tuple(segments))
    return _Painted(photo, _instances(photo, ids, categories), merged.hidden)


def _instances(
    photo: Photo, ids: SegmentIds, categories: tuple[Category, ...]
) -> tuple[dict[str, Any], ...]:
    """COCO instance annotations of a photo's things: their visible masks."""
    things = {c.id for c in categories if c.isthing}
    columns_first = np.asfortranarray(ids)  # the order that COCO's run lengths count in
    return tuple(
        {
            **segment.extra,
            "id": segment.id,
            "image_id": photo.id,
            "category_id": segment.category_id,
            "segmentation": encode_mask(columns_first == segment.id),
            "area": segment.area,
            "bbox": segment.bbox,
            "iscrowd": int(segment.iscrowd),
            **dict.fromkeys(segment.attributes, 1),
        }
        for segment in photo.segments
        if segment.category_id in things
    )


def _write_split(
    dataset: Dataset, name: str, categories: tuple[Category, ...], painted: Sequence[_Painted]
) -> None:
    annotations = dataset.panoptic / "annotations"
    png_folder = dataset.panoptic / f"panoptic_{name}"
    photos = tuple(one.photo for one in painted)
    png_folder.mkdir(parents=True, exist_ok=True)  # a split may have no photo, but it is a set
    _link_images(dataset, dataset.panoptic / name, photos)
    keep = {png_folder / photo.png_name for photo in photos}
    for stale in set(png_folder.rglob("*.png")) - keep:
        stale.unlink()
    panoptic = PanopticSet(annotations / f"panoptic_{name}.json", png_folder, categories, photos)
    write_panoptic(panoptic)
    instances = {
        "images": [
            {"id": p.id, "file_name": p.file_name, "width": p.width, "height": p.height}
            for p in photos
        ],
        "annotations": [instance for one in painted for instance in one.instances],
        "categories": category_values(tuple(c for c in categories if c.isthing)),
    }
    write_json(annotations / f"instances_{name}.json", instances)


def _link_images(dataset: Dataset, folder: Path, photos: Sequence[Photo]) -> None:
    """Fill `panoptic/<split>/` with links to the photos; with copies where links do not work."""
    if folder.exists():
        shutil.rmtree(folder)  # holds links and copies only
    folder.mkdir(parents=True)
    for photo in photos:
        link = folder / photo.file_name
        link.parent.mkdir(parents=True, exist_ok=True)
        source = dataset.images / photo.file_name
        try:
            link.symlink_to(os.path.relpath(source, link.parent))
        except OSError:
            shutil.copyfile(source, link)


def _write_manifest(path: Path, dataset: Dataset, inputs: str, built: Built) -> None:
    result = {
        "photos": built.photos,
        "segments": built.segments,
        "hidden": built.hidden,
        "left_out": built.left_out,
    }
    versions = {name: version(name) for name in ("numpy", "opencv-python-headless", "pycocotools")}
    seed = dataset.config.split.seed
    manifest = {"inputs": inputs, "result": result, "seed": seed, "versions": versions}
    write_json(path, manifest, indent=2)
