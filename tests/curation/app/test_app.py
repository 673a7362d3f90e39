from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest

from annotation.dataset import Dataset
from base.errors import InputError
from curation.app.app import check_port, open_app
from curation.review.review import review
from tests.curation.conftest import Curate, predict, truth_of
from tests.drawn import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
OPEN = """
import signal, sys
from curation.app import open_app
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
open_app(sys.argv[1], port=int(sys.argv[2]))
"""


@pytest.fixture
def app(drawn: Dataset, curate: Curate, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """Address of an App in a process of its own, with one reviewed photo."""
    curate(drawn)
    prediction = predict(drawn, tmp_path / "run")
    name = review(drawn, truth_of(drawn).json_path, prediction, run=tmp_path / "first")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", OPEN, name, str(port)],
        cwd=Path(__file__).parents[3],
        env={k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert f"http://127.0.0.1:{port}/datasets/" in line
    yield line.split()[2], process
    process.kill()
    process.wait()


def count_outcomes(screenshot: Path) -> tuple[int, int, int]:
    """Pixels drawn green (hit), blue (missed) and violet (missed below a red false one)."""
    blue, green, red = np.moveaxis(cv2.imread(str(screenshot)).astype(int), 2, 0)
    bluish = blue - np.maximum(green, red) > 30
    hits = (green - red > 30) & (green - blue > 30)
    return int(hits.sum()), int((bluish & (red < green)).sum()), int((bluish & (red > green)).sum())


@pytest.mark.skipif(not CHROMIUM, reason="needs the browser Chromium (apt-get install chromium)")
def test_the_app_draws_predictions_and_outcomes(
    app: tuple[str, subprocess.Popen], tmp_path: Path
) -> None:
    from playwright.sync_api import expect, sync_playwright

    url, process = app
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1500, "height": 900})
        page.goto(f"{url}?view=worst-first")
        expect(page.get_by_text("1 sample", exact=True)).to_be_visible(timeout=60_000)
        for field in ("ground_truth", "predictions", "predicted_scene", "pq"):
            # the view bar holds a hidden "pq" too, as the field that is sorted by
            seen = page.get_by_text(field, exact=True).filter(visible=True)
            expect(seen.first).to_be_visible()
        page.get_by_text("Dismiss").click()  # an advertisement
        for _ in range(60):  # the masks come one after another
            page.wait_for_timeout(500)
            page.locator("canvas").first.screenshot(path=tmp_path / "photo.png")
            hits, missed, confused = count_outcomes(tmp_path / "photo.png")
            if hits and missed and confused:
                break
        page.screenshot(path=tmp_path / "page.png")
        browser.close()
    assert hits > missed > confused > 0, tmp_path / "page.png"

    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert output.splitlines() == ["FiftyOne's App: ended"]
    assert process.returncode == 0


def test_a_taken_port_is_named_with_a_free_one() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(InputError, match=rf"port {port} is taken.*try \d+"):
            check_port(port)


def test_an_unknown_data_set(mongo: str) -> None:
    assert not fo.dataset_exists("nothing")
    with pytest.raises(InputError, match=r"no data set 'nothing'; run `curate` first"):
        open_app("nothing", port=free_port())
