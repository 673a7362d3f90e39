"""Speed and memory of validation: files with seven shapes; only the headers of photos are read.

Each run has its own process, pinned to one core; the speed is the median of three runs.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from annotation.dataset import open_dataset
from annotation.labelme.annotation import Annotation, Shape, write_annotation
from annotation.rules.validate import check_dataset

YAML = "name: bench\nthings: [box, disc, post]\nlimits: {few: 0, outlier: 1000}\n"
WIDTH, HEIGHT, SHAPES, VERTICES, KINDS = 640, 480, 7, 15, 50


def make_set(root: Path, count: int) -> None:
    """Write `count` photos and annotations: 50 different ones, repeated; photos are hard links."""
    rng = np.random.default_rng(0)
    for folder in ("images", "labelme", "kinds"):
        (root / folder).mkdir()
    (root / "dataset.yaml").write_text(YAML)
    photo = rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for number in range(count):
        kept = root / f"kinds/{number // 50_000}.jpg"  # a file has at most 65,000 links
        if not kept.exists():
            cv2.imwrite(str(kept), photo, [cv2.IMWRITE_JPEG_QUALITY, 30])
        os.link(kept, root / f"images/{number:06d}.jpg")
        shapes = tuple(_shape(rng, place) for place in range(SHAPES)) if number < KINDS else ()
        path = root / f"labelme/{number:06d}.json"
        if number < KINDS:
            annotation = Annotation(f"../images/{number:06d}.jpg", HEIGHT, WIDTH, shapes)
            write_annotation(path, annotation)
        else:
            kind = (root / f"labelme/{number % KINDS:06d}.json").read_bytes()
            path.write_bytes(kind.replace(b"%06d.jpg" % (number % KINDS), b"%06d.jpg" % number))


def _shape(rng: np.random.Generator, place: int) -> Shape:
    """Draw an irregular round outline in a separate part of the photo."""
    centre = np.array([90 + 150 * (place % 4), 110 + 220 * (place // 4)])
    angles = np.sort(rng.uniform(0, 2 * np.pi, VERTICES))
    radius = rng.uniform(40, 60, VERTICES)
    points = centre + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Shape(["box", "disc", "post"][place % 3], tuple(map(tuple, points.round(2).tolist())))


def check(root: Path) -> None:
    """Check the set once; print the seconds, the number of findings and the peak memory."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    dataset = open_dataset(root)
    start = time.perf_counter()
    checked = check_dataset(dataset)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(seconds, len(checked.findings), peak)


def main() -> None:
    """Print files per second and peak memory for 1,000, 10,000 and 100,000 files."""
    for count, runs in ((1_000, 3), (10_000, 3), (100_000, 1)):
        with tempfile.TemporaryDirectory() as folder:
            make_set(Path(folder), count)
            command = [sys.executable, "-m", "benchmarks.validation", folder]
            done = [subprocess.run(command, capture_output=True, check=True) for _ in range(runs)]
            lines = [one.stdout.split() for one in done]
        seconds = statistics.median(float(line[-3]) for line in lines)
        peak = statistics.median(int(line[-1]) for line in lines)
        found = int(lines[0][-2])
        print(f"{count} files: {count / seconds:.0f} per second, peak {peak} MB, {found} findings")


if __name__ == "__main__":
    if sys.argv[1:]:
        check(Path(sys.argv[1]))
    else:
        main()
