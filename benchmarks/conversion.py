"""Speed and memory of conversion compared with common tools, on one core.

Inputs are generated from a seed: 500 photos of 640x480 and 60 of 1920x1080, each with 7 shapes and
a label map. The tools take turns, so that a busy machine slows all of them; CPU times are medians
over the rounds. labelme2coco is not a dependency, because it installs an OpenCV that breaks
Labelme's Qt. To measure it, install it with `pip install --no-deps labelme2coco sahi` and
`pip install fire terminaltables tqdm`.

    .venv/bin/python -m benchmarks.conversion            the table
    .venv/bin/python -m benchmarks.conversion scale N    time and memory of a set of N small photos
"""

from __future__ import annotations

import contextlib
import cProfile
import json
import logging
import os
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotation.dataset import open_dataset
from annotation.labelme.annotation import Annotation, Shape, write_annotation
from conversion.building.build import convert
from conversion.exporting.instances import export_instances

YAML = """\
name: bench
things: [box, disc, post]
stuff: [sky-other-merged, road, grass-merged]
stuff_sources: [{label_maps: stuff}]
limits: {few: 0, outlier: 1000}
"""
STUFF = (187, 149, 193)
SETS = {"640x480": (640, 480, 500), "1920x1080": (1920, 1080, 60)}
SHAPES, VERTICES, ROUNDS, KINDS = 7, 15, 5, 50
PLACE = Path(__file__).parents[1] / "datasets"  # /tmp can be slow if it holds many small files
PARTS = {  # parts of a conversion, each with the function whose time is measured
    "check annotations": "check_annotation",
    "read annotations": "read_annotation",
    "read stuff": "read",
    "paint": "merge",
    "pack PNGs": "encode_png",
    "write PNGs": "write_bytes",
    "instances": "_instances",
}


def make_set(root: Path, width: int, height: int, count: int) -> None:
    """Write photos of noise with outlines of things and bands of stuff: 50 kinds, repeated."""
    rng = np.random.default_rng(0)
    for folder in ("images", "labelme", "stuff", "kinds"):
        (root / folder).mkdir(parents=True)
    (root / "dataset.yaml").write_text(YAML)
    photo = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    for number in range(count):
        name = f"{number:07d}"
        kept = root / f"kinds/{number // 50_000}.jpg"  # a file has at most 65,000 links
        if not kept.exists():
            cv2.imwrite(str(kept), photo, [cv2.IMWRITE_JPEG_QUALITY, 30])
        os.link(kept, root / f"images/{name}.jpg")
        drawn = root / f"labelme/{number % KINDS:07d}.json"
        stuff = root / f"stuff/{number % KINDS:07d}.png"
        if number < KINDS:
            shapes = tuple(_shape(rng, width, height) for _ in range(SHAPES))
            annotation = Annotation(f"../images/{name}.jpg", height, width, shapes)
            write_annotation(drawn, annotation)
            Image.fromarray(_bands(rng, width, height)).save(stuff)
        else:
            text = drawn.read_text().replace(f"{number % KINDS:07d}.jpg", f"{name}.jpg")
            (root / f"labelme/{name}.json").write_text(text)
            os.link(stuff, root / f"stuff/{name}.png")


def _shape(rng: np.random.Generator, width: int, height: int) -> Shape:
    centre = rng.uniform(0.1, 0.9, 2) * (width, height)
    angles = np.sort(rng.uniform(0, 2 * np.pi, VERTICES))
    radius = rng.uniform(0.6, 1, VERTICES) * rng.uniform(0.04, 0.16) * height
    points = centre + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    label = ("box", "disc", "post")[rng.integers(3)]
    return Shape(label, tuple(map(tuple, points.round(2).tolist())))


def _bands(rng: np.random.Generator, width: int, height: int) -> NDArray[np.uint8]:
    rows = np.arange(height)[:, None]
    labels = np.full((height, width), STUFF[0], np.uint8)
    for band, value in enumerate(STUFF[1:], start=1):
        border = band * height / 3 + rng.normal(0, 1, width).cumsum()
        labels[rows > border] = value
    return labels


# --- measurements, each in its own process ---


def panoptic(root: Path) -> float:
    """Convert Labelme files and label maps to panoptic PNGs and JSON files, with an empty cache."""
    _aside(root / "panoptic")
    _aside(root / ".cache")
    start = time.process_time()
    convert(open_dataset(root))
    return time.process_time() - start


def _aside(folder: Path) -> None:
    """Move a folder out of the way.

    It is not deleted, because on an ext4 file system without a journal, creating a file takes up to
    half a millisecond longer just after others have been deleted, which would distort the results.
    """
    if folder.exists():
        folder.rename(tempfile.mkdtemp(prefix=".old", dir=folder.parents[1]))


def slivers(root: Path) -> float:
    """The same with slivers below 16 pixels reassigned, which is off by default."""
    plain = (root / "dataset.yaml").read_text()
    (root / "dataset.yaml").write_text(plain + "slivers: {area: 16}\n")
    try:
        return panoptic(root)
    finally:
        (root / "dataset.yaml").write_text(plain)


def pillow(root: Path) -> float:
    """Save the same PNGs with Pillow's defaults; the pixels are in memory."""
    paths = sorted(root.glob("panoptic/panoptic_*/*.png"))
    pictures = []
    for path in paths:
        with Image.open(path) as picture:
            pictures.append(picture.convert("RGB"))
    _aside(root / "pillow")
    (root / "pillow").mkdir()
    start = time.process_time()
    for number, picture in enumerate(pictures):
        picture.save(root / f"pillow/{number}.png")
    return time.process_time() - start


def instances(root: Path) -> None:
    """Convert Labelme files to COCO instances: groups joined, exact areas, all shapes."""
    export_instances(open_dataset(root), root / "instances.json")


def labelme2coco(root: Path) -> float:
    """Convert the same folder to a JSON file with labelme2coco from PyPI."""
    logging.disable(logging.CRITICAL)
    from labelme2coco import get_coco_from_labelme_folder  # type: ignore[import-not-found]

    with contextlib.redirect_stdout(sys.stderr):
        start = time.process_time()
        coco = get_coco_from_labelme_folder(str(root / "labelme"))
        (root / "labelme2coco.json").write_text(json.dumps(coco.json))
        return time.process_time() - start


def again(root: Path) -> None:
    """Convert again, with nothing to do."""
    convert(open_dataset(root))


def listing(root: Path) -> None:
    """List every file of the set and read its metadata, nothing more."""
    for folder in ("images", "labelme", "stuff", "panoptic"):
        for place, _, names in os.walk(root / folder):
            for name in names:
                os.lstat(f"{place}/{name}")


def parts(root: Path) -> None:
    """Print the share of the time of a conversion that each part takes."""
    profile = cProfile.Profile()
    profile.runcall(panoptic, root)
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = max(row[3] for row in stats.values())
    for title, function in PARTS.items():
        spent = max((row[3] for (_, _, name), row in stats.items() if name == function), default=0)
        print(f"    {title:<20} {spent / total:6.1%}", file=sys.stderr)


MEASURED = (panoptic, slivers, pillow, instances, labelme2coco, again, listing, parts)


def _child(name: str, root: Path) -> None:
    """Run one measurement; print CPU seconds, wall seconds and peak memory in MB."""
    function = {function.__name__: function for function in MEASURED}[name]
    cpu, wall = time.process_time(), time.perf_counter()
    own = function(root)  # CPU seconds without preparation, or None
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([cpu if own is None else own, wall, peak]))


def _measure(name: str, root: Path, *, one_core: bool = True) -> list[float]:
    first = min(os.sched_getaffinity(0))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.conversion", "child", name, str(root)],
        preexec_fn=(lambda: os.sched_setaffinity(0, {first})) if one_core else None,
        stdout=subprocess.PIPE,
        stderr=None if name == "parts" else subprocess.DEVNULL,
        check=False,
    )
    values = [float("nan")] * 3 if done.returncode else json.loads(done.stdout.splitlines()[-1])
    return [float(value) for value in values]


def table() -> None:
    """Print the figures for the table in benchmarks/README.md."""
    with tempfile.TemporaryDirectory(prefix=".bench", dir=PLACE) as folder:
        for title, (width, height, count) in SETS.items():
            root = Path(folder) / title
            make_set(root, width, height, count)
            names = ("panoptic", "pillow", "instances", "labelme2coco", "slivers")
            rounds = [[_measure(name, root) for name in names] for _ in range(ROUNDS)]
            print(f"{title}, {count} photos, CPU ms per photo (median of {ROUNDS}), peak MB")
            cpu = []
            for place, name in enumerate(names):
                cpu.append(statistics.median(one[place][0] for one in rounds) / count * 1000)
                peak = max(one[place][2] for one in rounds)
                print(f"    {name:<20} {cpu[-1]:6.2f} {peak:6.0f}")
            print(f"    panoptic : pillow          {cpu[0] / cpu[1]:.2f}")
            print(f"    labelme2coco : instances   {cpu[3] / cpu[2]:.2f}", flush=True)
            _measure("parts", root)


def scale(count: int) -> None:
    """Print the time and memory of a set of many small photos, on all cores."""
    with tempfile.TemporaryDirectory(prefix=".bench", dir=PLACE) as folder:
        root = Path(folder) / "set"
        make_set(root, 160, 120, count)
        for name in ("panoptic", "again", "again", "listing"):
            _, wall, peak = _measure(name, root, one_core=False)
            print(f"{count:>9,} photos: {name:<10} {wall:8.2f} s, peak {peak:5.0f} MB", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        _child(sys.argv[2], Path(sys.argv[3]))
    elif sys.argv[1:2] == ["scale"]:
        scale(int(sys.argv[2]))
    else:
        table()
