from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import cv2
import fiftyone as fo
import numpy as np
import pytest
from playwright.sync_api import Error, Page, expect, sync_playwright

from annotation.dataset import Dataset
from base.errors import InputError
from curation.app.app import check_port, open_app
from curation.review.review import review
from tests.browser import CHROMIUM, FLAGS, needs_chromium
from tests.curation.conftest import Curate, predict, truth_of
from tests.drawn import free_port

OPEN = """
import signal, sys
from curation.app.app import open_app
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by default in background jobs
if "public" in sys.argv:  # hide the private name that open_app uses
    sys.modules["fiftyone.core.service"] = None
open_app(sys.argv[1], port=int(sys.argv[2]))
"""


@contextmanager
def running_app(name: str, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the App in its own process; yield its address and the process."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", OPEN, name, str(port), *options],
        cwd=Path(__file__).parents[3],
        env={k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        address = f"http://127.0.0.1:{port}/datasets/"
        line = next(line for line in process.stdout if address in line)  # launch_app prints more
        yield line.split()[2], process
    finally:
        process.kill()
        process.wait()


def stop_app(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert output.splitlines()[-1] == "FiftyOne's App: stopped"  # launch_app prints more
    assert process.returncode == 0


def count_outcomes(screenshot: Path) -> tuple[int, int, int]:
    """Numbers of green (hit), blue (missed) and violet (missed below a red false alarm) pixels."""
    blue, green, red = np.moveaxis(cv2.imread(str(screenshot)).astype(int), 2, 0)
    bluish = blue - np.maximum(green, red) > 30
    hits = (green - red > 30) & (green - blue > 30)
    return int(hits.sum()), int((bluish & (red < green)).sum()), int((bluish & (red > green)).sum())


@needs_chromium
def test_the_app_draws_predictions_and_outcomes(
    drawn: Dataset, curate: Curate, tmp_path: Path
) -> None:
    curate(drawn)
    prediction = predict(drawn, tmp_path / "run")
    name = review(drawn, truth_of(drawn).json_path, prediction, run=tmp_path / "first")
    with running_app(name) as (url, process), sync_playwright() as playwright:
        slug = fo.load_dataset(name).slug
        assert url.endswith(f"?view=worst-photos&workspace=review-{slug}")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1500, "height": 900})
        page.goto(url)
        expect(page.get_by_text("1 sample", exact=True)).to_be_visible(timeout=60_000)
        page.get_by_text("Dismiss").click()  # an advertisement, which no setting hides
        for field in ("ground_truth", "predictions", "predicted_scene", "pq"):
            # the view bar has a hidden "pq" too: the field by which it sorts
            seen = page.get_by_text(field, exact=True).filter(visible=True)
            expect(seen.first).to_be_visible()
        hits, missed, confused = wait_for_masks(page, tmp_path / "photo.png")
        assert missed > confused > 0 == hits, tmp_path / "photo.png"  # hits are hidden

        page.get_by_text(re.compile("^wrong category: ")).click()  # in the panel
        page.wait_for_url(re.compile("view=error-wrong-category"))
        for _ in range(60):
            _, missed, confused = wait_for_masks(page, tmp_path / "photo.png")
            if confused > missed:
                break
        assert confused > missed, tmp_path / "photo.png"  # box 2, which is missed, is hidden
        browser.close()
        stop_app(process)


def wait_for_masks(page: Page, screenshot: Path) -> tuple[int, int, int]:
    """Count the pixels of outcomes as soon as there are any; masks appear one after another."""
    counts = (0, 0, 0)
    for _ in range(60):
        page.wait_for_timeout(500)
        try:
            page.locator("canvas").first.screenshot(path=screenshot)
        except Error:  # the App replaced the canvas just now
            continue
        before, counts = counts, count_outcomes(screenshot)
        if counts[2] and counts == before:
            break
    return counts


@pytest.mark.parametrize("options", [(), ("public",)])
def test_the_app_runs_until_ctrl_c(
    drawn: Dataset, curate: Curate, options: tuple[str, ...]
) -> None:
    with running_app(curate(drawn).name, *options) as (url, process):
        with urlopen(url.partition("/datasets/")[0] + "/fiftyone", timeout=60) as answer:
            assert json.load(answer)["version"] == fo.__version__
        stop_app(process)


def test_a_port_in_use_is_an_error_that_names_a_free_one() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(InputError, match=rf"port {port}: in use.*try \d+"):
            check_port(port)


def test_an_unknown_data_set_is_an_error(mongo: str) -> None:
    assert not fo.dataset_exists("nothing")
    with pytest.raises(InputError, match=r"no data set 'nothing'; run `curate` first"):
        open_app("nothing", port=free_port())
