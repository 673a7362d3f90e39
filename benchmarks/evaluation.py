"""Speed and memory of panoptic quality compared with other tools.

Inputs are generated from a seed: pairs of 640x480 with about 10 segments, with PNGs as Pillow
writes them, and with the same PNGs as this project writes them. The tools take turns, so that a
busy machine slows all of them; times are the shortest of all rounds. panopticapi, the official
code, is in no package registry; it is measured if PYTHONPATH names a copy of its repository.
torchmetrics gets 5 pairs.

    [PYTHONPATH=PANOPTICAPI] .venv/bin/python -m benchmarks.evaluation [--pairs 500] [--rounds 3]
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro
from PIL import Image

from base.errors import InputError
from conversion.coco.categories import Category
from conversion.coco.panoptic import PanopticSet, Photo, Segment, measure
from conversion.coco.panoptic_file import read_panoptic, write_panoptic
from conversion.coco.png import SegmentIds, write_segment_ids
from evaluation.scores.scores import evaluate_files

WIDTH, HEIGHT, THINGS = 640, 480, 8
CATEGORIES = tuple(Category(n, f"category {n}", n <= 5, (n, n, n)) for n in range(1, 8))
SPREAD = 1_234_567  # from one segment id to the next, so that they use all three channels
WRITERS = ("Pillow", "this project")
FEW = 5  # pairs for torchmetrics, which is slow
PEERS = ("panopticapi", "hotcoco")  # whose CPU time that of each tool is divided by


# --- inputs ---


def make_pairs(root: Path, number: int) -> None:
    """Write `number` pairs as `root/WRITER/{truth,prediction}.json` with their PNGs."""
    rng = np.random.default_rng(0)
    pairs = [_draw_pair(rng) for _ in range(number)]
    for writer in WRITERS:
        for side, name in enumerate(("truth", "prediction")):
            folder = root / writer / name
            folder.mkdir(parents=True)
            photos = tuple(
                _write(folder, writer, n, *pair[side]) for n, pair in enumerate(pairs, start=1)
            )
            write_panoptic(PanopticSet(folder.with_suffix(".json"), folder, CATEGORIES, photos))


Drawn = tuple[SegmentIds, dict[int, int]]  # numbers from 1, and the category of each


def _draw_pair(rng: np.random.Generator) -> tuple[Drawn, Drawn]:
    """Draw things over two kinds of stuff, and again with errors: moved, missed, misnamed."""
    maps, horizon = np.zeros((2, HEIGHT, WIDTH), np.int32), rng.integers(100, 300)
    categories: tuple[dict[int, int], dict[int, int]] = {}, {}
    for number, name in enumerate(range(1, THINGS + 3)):
        category = 6 + number if number < 2 else int(rng.integers(1, 6))
        centre, radii = rng.integers(0, (WIDTH, HEIGHT)), rng.integers(15, 90, 2)
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        circle = np.stack([np.cos(angles), np.sin(angles)], 1) * rng.uniform(0.7, 1.1, (24, 1))
        shape = centre + radii * circle
        fate = rng.random()
        for side in (0, 1):
            found = 1 + (category % 5) if side and fate > 0.95 and number > 1 else category
            if number < 2:
                top = (0, horizon)[number] + (number and side * 5)
                maps[side][top:] = name
            elif side and fate < 0.1:
                continue
            else:
                moved = np.rint(shape + side * rng.integers(-5, 6, 2)).astype(np.int32)
                cv2.fillPoly(maps[side], [moved], name)
            categories[side][name] = found
    return (maps[0].astype(np.uint32), categories[0]), (maps[1].astype(np.uint32), categories[1])


def _write(
    folder: Path, writer: str, number: int, numbers: SegmentIds, categories: dict[int, int]
) -> Photo:
    ids = numbers * np.uint32(SPREAD)
    path = folder / f"{number}.png"
    if writer == "Pillow":
        channels = [ids >> shift & 255 for shift in (0, 8, 16)]
        Image.fromarray(np.stack(channels, 2).astype(np.uint8)).save(path)
    else:
        write_segment_ids(path, ids)
    segments = tuple(
        Segment(i * SPREAD, categories[i], *extent) for i, extent in measure(numbers).items()
    )
    return Photo(number, f"{number}.jpg", WIDTH, HEIGHT, path.name, segments)


# --- the tools; each returns the PQ ---


def this_project(truth: Path, prediction: Path) -> float:
    """Evaluate with all matches."""
    return evaluate_files(truth, prediction).quality.all.pq


def hotcoco(truth: Path, prediction: Path) -> float:
    """Evaluate with hotcoco, which keeps sums only."""
    from hotcoco.panoptic import PanopticEval

    evaluation = PanopticEval(truth, prediction)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.run()
    return float(evaluation.results()["All"]["pq"])


def torchmetrics(truth: Path, prediction: Path) -> float:
    """Evaluate a few pairs with torchmetrics, photo by photo; decode the PNGs with Pillow."""
    import torch
    from torchmetrics.detection import PanopticQuality

    torch.set_num_threads(1)
    things = {c.id for c in CATEGORIES if c.isthing}
    metric = PanopticQuality(things, {c.id for c in CATEGORIES} - things)
    sets = read_panoptic(truth), read_panoptic(prediction)
    for pair in zip(*(each.photos[:FEW] for each in sets), strict=True):
        maps = [_pairs(each.png_folder, photo) for each, photo in zip(sets, pair, strict=True)]
        metric.update(*(torch.from_numpy(pixels[None]) for pixels in reversed(maps)))
    return float("nan")  # of other pairs than those of the other tools


def _pairs(folder: Path, photo: Photo) -> np.ndarray:
    """Return (H, W, 2): the category and the segment id of each pixel."""
    rgb = np.asarray(Image.open(folder / photo.png_name)).astype(np.int64)
    ids = rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2]
    known = np.array(sorted((s.id, s.category_id) for s in photo.segments))
    return np.stack([known[np.searchsorted(known[:, 0], ids), 1], ids], 2)


def panopticapi(truth: Path, prediction: Path) -> float:
    """Evaluate with the official code, in one process."""
    from panopticapi.evaluation import pq_compute_single_core

    gt, found = json.loads(truth.read_bytes()), json.loads(prediction.read_bytes())
    categories = {category["id"]: category for category in gt["categories"]}
    by_image = {annotation["image_id"]: annotation for annotation in found["annotations"]}
    pairs = [(annotation, by_image[annotation["image_id"]]) for annotation in gt["annotations"]]
    folders = truth.with_suffix(""), prediction.with_suffix("")
    with contextlib.redirect_stdout(io.StringIO()):
        stat = pq_compute_single_core(0, pairs, *folders, categories)
    return float(stat.pq_average(categories, isthing=None)[0]["pq"])


TOOLS: dict[str, tuple[Callable[[Path, Path], float], int]] = {  # and the number of cores
    "this project, one core": (this_project, 1),
    "this project, two cores": (this_project, 2),
    "hotcoco": (hotcoco, 1),
    "torchmetrics": (torchmetrics, 1),
    "panopticapi": (panopticapi, 1),
}


# --- measuring ---


@dataclass(frozen=True)
class Measured:
    """One evaluation: PQ, seconds and CPU seconds per pair, and peak memory in MB."""

    pq: float
    seconds: float
    cpu: float
    peak: float


def _child(tool: str, folder: Path, pairs: int) -> None:
    """Print the values of Measured; imports are not counted."""
    files = folder / "truth.json", folder / "prediction.json"
    function = TOOLS[tool][0]
    with contextlib.suppress(OSError, InputError, ValueError):  # imports, without any work
        function(Path("nowhere.json"), Path("nowhere.json"))
    start, cpu = time.perf_counter(), time.process_time()
    pq = function(*files)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    number = min(FEW, pairs) if tool == "torchmetrics" else pairs
    print(json.dumps([pq, seconds / number, cpu / number, peak]))


def _measure(tool: str, folder: Path, pairs: int) -> Measured | None:
    """Run a tool in a process of its own; None if it is not installed."""
    cores = sorted(os.sched_getaffinity(0))[: TOOLS[tool][1]]
    arguments = ["child", tool, str(folder), str(pairs)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.evaluation", *arguments],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    if "ModuleNotFoundError" in done.stderr:
        return None
    if done.returncode:
        raise SystemExit(done.stderr)
    return Measured(*json.loads(done.stdout.splitlines()[-1]))


def _best(rounds: list[Measured | None]) -> Measured | None:
    """Return the shortest times and the lowest peak of all rounds."""
    known = [each for each in rounds if each is not None]
    if not known:
        return None
    lowest = (min(getattr(each, name) for each in known) for name in ("seconds", "cpu", "peak"))
    return Measured(known[0].pq, *lowest)


def main(pairs: int = 500, rounds: int = 3) -> None:
    """Print a table per writer of the PNGs.

    Args:
        pairs: number of pairs of a ground truth and a prediction.
        rounds: how often each tool is measured.
    """
    with tempfile.TemporaryDirectory() as root:
        make_pairs(Path(root), pairs)
        for writer in WRITERS:
            folder = Path(root) / writer
            measured = [
                {tool: _measure(tool, folder, pairs) for tool in TOOLS} for _ in range(rounds)
            ]
            best = {tool: _best([once[tool] for once in measured]) for tool in TOOLS}
            _print_table(writer, best)


def _print_table(writer: str, best: dict[str, Measured | None]) -> None:
    peers = {name: found for name in PEERS if (found := best[name])}
    shares = " ".join(f"{'CPU : ' + name:>17}" for name in peers)
    print(f"\n{'PNGs by ' + writer:24} {'PQ':>8} {'ms':>8} {'CPU ms':>8} {shares} {'MB':>6}")
    for tool, found in best.items():
        if found is None:
            print(f"{tool:24} not installed")
            continue
        shares = " ".join(f"{found.cpu / peer.cpu:17.2f}" for peer in peers.values())
        times = f"{1000 * found.seconds:8.2f} {1000 * found.cpu:8.2f}"
        print(f"{tool:24} {100 * found.pq:8.4f} {times} {shares} {found.peak:6.0f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        _child(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        tyro.cli(main)
