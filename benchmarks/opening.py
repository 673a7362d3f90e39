"""How long an open photo takes to appear in FiftyOne's App, with all its segments.

Draws photos with 120 segments each, loads them with `pipeline.py curate`, then also predictions of
all segments with `review`, and opens one photo after another in a headless browser. The time is
from the click on a photo in the grid to the last change of the colours drawn on it; the photos
themselves are grey. Needs Chromium.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

from annotation.labelme.annotation import Annotation, Shape, write_annotation
from conversion.building.build import convert
from conversion.config import open_valid_dataset
from tests.browser import CHROMIUM, FLAGS
from tests.curation.app.app_process import running_app
from tests.drawn import free_port
from tests.predicted import run_that_predicts

PIPELINE = Path(__file__).parents[1] / "pipeline.py"
COLUMNS, ROWS = 12, 10
YAML = """\
name: {name}
things: [tile]
split: {{train: 0, test: 1, seed: 0}}
"""
# Watch the colours of the open photo from the next click on, in a copy of 300 pixels
WATCH = """() => {
    window.opened = null
    const small = new OffscreenCanvas(300, 225).getContext("2d", {willReadFrequently: true})
    document.addEventListener("click", () => {
        const begin = performance.now()
        let coloured = 0, changed = 0
        const look = () => {
            const now = performance.now(), canvas = document.querySelector("[data-cy=modal] canvas")
            if (canvas && canvas.width) {
                small.clearRect(0, 0, 300, 225)
                small.drawImage(canvas, 0, 0, 300, 225)
                const data = small.getImageData(0, 0, 300, 225).data
                let found = 0
                for (let i = 0; i < data.length; i += 4) {
                    const [r, g, b] = data.slice(i, i + 3)
                    found += Math.max(r, g, b) - Math.min(r, g, b) > 30
                }
                if (found != coloured) changed = now
                coloured = found
            }
            if (coloured && now - changed > 1500) window.opened = changed - begin
            else requestAnimationFrame(look)
        }
        look()
    }, {capture: true, once: true})
}"""


def draw(root: Path, name: str, photos: int, size: tuple[int, int], jitter: float) -> None:
    """Write a set whose photos have COLUMNS x ROWS squares, each moved by up to `jitter` pixels."""
    width, height = size
    (root / "images").mkdir(parents=True)
    (root / "dataset.yaml").write_text(YAML.format(name=name))
    places = np.random.default_rng(len(name))
    step = np.array([width / COLUMNS, height / ROWS])
    for index in range(photos):
        grey = np.random.default_rng(index).normal(128, 20, (height, width, 1))
        path = root / "images" / f"{index:03d}.jpg"
        cv2.imwrite(str(path), np.repeat(grey.clip(0, 255).astype(np.uint8), 3, axis=2))
        shapes = []
        for cell in np.ndindex(COLUMNS, ROWS):
            corner = (np.array(cell) + 0.2) * step + places.uniform(-jitter, jitter, 2)
            x, y, right, bottom = np.concatenate([corner, corner + 0.6 * step]).tolist()
            shapes.append(Shape("tile", ((x, y), (right, y), (right, bottom), (x, bottom))))
        annotation = Annotation(f"../images/{path.name}", height, width, tuple(shapes))
        write_annotation(root / "labelme" / f"{index:03d}.json", annotation)


def open_photos(page: Page, url: str, photos: int) -> list[float]:
    """Open the photos of a view one after another; return the seconds that each took."""
    page.goto(url)
    page.get_by_text(f"{photos} samples", exact=True).wait_for(timeout=60_000)
    page.wait_for_timeout(20_000)  # until the grid is drawn
    times = []
    for index in range(photos):
        page.wait_for_timeout(2_000)
        page.evaluate(WATCH)
        page.locator("[data-cy=looker]").nth(index).click()
        page.wait_for_function("window.opened", timeout=60_000)
        times.append(page.evaluate("window.opened") / 1000)
        page.keyboard.press("Escape")
    return times


def measure(words: list[str], views: list[str], photos: int, env: dict[str, str]) -> None:
    """Run a command that opens the App, and print the time of each photo in some views.

    Before a review, there is no view of the worst photos, and the App opens with all photos.
    """
    command = [sys.executable, str(PIPELINE), *words, "--port", str(free_port())]
    with running_app(*command, env=env) as (url, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1500, "height": 900})
        page.goto(url)
        page.get_by_role("button", name="Dismiss").click()  # an advertisement
        for view in views:
            times = open_photos(page, url.replace("worst-photos", view), photos)
            each = ", ".join(f"{time:.1f}" for time in times)
            print(f"{words[0]} {view}: median {median(times):.1f} s ({each})", flush=True)


def main() -> None:
    """Print the time of each photo: true segments, errors only, and true and predicted segments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=int, default=6)
    parser.add_argument("--size", type=int, nargs=2, default=(1920, 1440))
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        root = Path(folder)
        env = {**os.environ, "FIFTYONE_DATABASE_DIR": str(root / "mongo")}
        sets = {"opening": 2.0, "predicted": 40.0}
        for name, jitter in sets.items():
            draw(root / name, name, given.photos, tuple(given.size), jitter)
            convert(open_valid_dataset(root / name))
        run = run_that_predicts(open_valid_dataset(root / "predicted"), root / "run", "test")
        curate = ["curate", str(root / "opening"), "--app"]
        measure(curate, ["all-photos"], given.photos, env)
        review = ["review", str(run), "--dataset", str(root / "opening")]
        measure(review, ["worst-photos", "all-reviewed-photos"], given.photos, env)


if __name__ == "__main__":
    main()
