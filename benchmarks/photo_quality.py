"""How many spoilt photos `curate` finds, and how many it reports that are not spoilt.

A third of the photos of a folder are blurred or darkened in a copy. cleanvision's own measure of
blur, which `curate` does not use, is shown for comparison.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
from cleanvision import Imagelab
from numpy.typing import NDArray

from annotation.dataset import open_dataset
from annotation.photos.files import read_photo
from curation.loading.quality import rate_photos

Pixels = NDArray[np.uint8]
SIDE = 640  # pixels of the longer side for which the radii below are given


def _blurred(pixels: Pixels, radius: float) -> Pixels:
    sigma = radius * max(pixels.shape) / SIDE
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


SPOILING: dict[str, tuple[str, Callable[[Pixels], Pixels]]] = {
    "Gaussian blur, radius 2 of 640 pixels": ("blurry", lambda pixels: _blurred(pixels, 2)),
    "radius 3": ("blurry", lambda pixels: _blurred(pixels, 3)),
    "radius 4": ("blurry", lambda pixels: _blurred(pixels, 4)),
    "radius 8": ("blurry", lambda pixels: _blurred(pixels, 8)),
    "0.3 times as bright": ("dark", lambda pixels: np.asarray(0.3 * pixels, np.uint8)),
}


def main() -> None:
    """Spoil photos in each way, and print the shares of those that are found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="a folder of photos")
    parser.add_argument("--number", type=int, default=150, help="of photos that are examined")
    options = parser.parse_args()
    paths = sorted(path for path in options.photos.iterdir() if path.is_file())
    chosen = paths[:: max(1, len(paths) // options.number)][: options.number]
    for name, (kind, spoil) in SPOILING.items():
        with tempfile.TemporaryDirectory() as folder:
            spoilt = _write(Path(folder), chosen, spoil)
            print(f"{name}: {_count(Path(folder), spoilt, kind)}", flush=True)


def _write(folder: Path, photos: Sequence[Path], spoil: Callable[[Pixels], Pixels]) -> set[str]:
    """Write a data set of which every third photo is spoilt; return the names of these."""
    (folder / "images").mkdir()
    (folder / "dataset.yaml").write_text("name: quality\nthings: [any]\n")
    spoilt = set()
    for number, path in enumerate(photos):
        pixels, name = read_photo(path), f"{path.stem}.png"
        if number % 3 == 0:
            pixels = spoil(pixels)
            spoilt.add(name)
        cv2.imwrite(str(folder / "images" / name), pixels)
    return spoilt


def _count(folder: Path, spoilt: set[str], kind: str) -> str:
    dataset = open_dataset(folder)
    paths = dataset.photos()
    rated = rate_photos(dataset, [path.name for path in paths])
    found = {name for name, one in rated.items() if kind in one.kinds}
    others = sum(bool(one.kinds) for name, one in rated.items() if name not in spoilt)
    text = f"found {_share(found, spoilt)}, other photos with a problem {others}"
    if kind == "blurry":
        lab = Imagelab(filepaths=list(map(str, paths)), verbose=False)
        with redirect_stderr(StringIO()):
            lab.find_issues({kind: {}}, n_jobs=1, verbose=False)
        named = zip(paths, lab.issues["is_blurry_issue"], strict=True)
        theirs = {path.name for path, is_so in named if is_so}
        text += f"; by cleanvision {_share(theirs, spoilt)}, others {len(theirs - spoilt)}"
    return text


def _share(found: set[str], spoilt: set[str]) -> str:
    return f"{100 * len(found & spoilt) / len(spoilt):.0f} %"


if __name__ == "__main__":
    main()
