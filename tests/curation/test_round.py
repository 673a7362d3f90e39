"""A whole round in the real programs: FiftyOne's App, `decide`, Labelme, and the App again."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest
from playwright.sync_api import Error, Locator, Page, expect, sync_playwright

from annotation.dataset import Dataset
from annotation.decisions import read_decisions
from annotation.labelme.annotation import Shape, read_annotation
from commands.curation import decide, review
from conversion.building.build import convert
from detr.config import RunConfig, TrainConfig, write_run
from tests.annotation.labeling.labelme_window import (
    PIPELINE,
    ROOT,
    Window,
    needs_screen,
    virtual_screen,
    wait_for,
)
from tests.browser import CHROMIUM, FLAGS, needs_chromium
from tests.curation.app.app_process import running_app
from tests.curation.conftest import GOOD, predict, truth_of
from tests.drawn import draw_photo, free_port

SLANTED = Shape("box", ((4, 4), (12, 4), (14, 17), (4, 12)))  # 92 pixels; box 1 has 64
DISC_AT = (33, 23)  # its middle
CORNER, RIGHT_PLACE = (14, 17), (12, 12)


def on_screen(point: tuple[int, int]) -> tuple[int, int]:
    """Return where Labelme shows a point of a photo of 40x30 pixels, 10 times as large."""
    return 163 + 10 * point[0], 151 + 10 * point[1]


def next_command(output: str) -> list[str]:
    """Return the words of the last command that a command has told the user to run."""
    return shlex.split(output.rpartition("pipeline.py ")[2].partition("\n")[0])


def count_outcomes(screenshot: Path) -> tuple[int, int, int]:
    """Numbers of green (hit), blue (missed) and violet (missed below a red false alarm) pixels."""
    blue, green, red = np.moveaxis(cv2.imread(str(screenshot)).astype(int), 2, 0)
    bluish = blue - np.maximum(green, red) > 30
    hits = (green - red > 30) & (green - blue > 30)
    return int(hits.sum()), int((bluish & (red < green)).sum()), int((bluish & (red > green)).sum())


def wait_for_masks(photo: Locator, screenshot: Path) -> tuple[int, int, int]:
    """Count the pixels of outcomes as soon as there are any; masks appear one after another."""
    counts = (0, 0, 0)
    for _ in range(60):
        photo.page.wait_for_timeout(500)
        try:
            photo.screenshot(path=screenshot)
        except Error:  # the App replaced the canvas just now
            continue
        before, counts = counts, count_outcomes(screenshot)
        if counts[2] and counts == before:
            break
    return counts


def shown_pq(page: Page) -> list[str]:
    """Return the titles of the PQ of the photos in the grid, such as `pq: 0.5`, from the left."""
    titles = """tags => tags.map(tag => [tag.getBoundingClientRect().x, tag.title])
        .sort((one, other) => one[0] - other[0]).map(pair => pair[1])"""
    return list(page.locator("[data-cy=tag-pq]").evaluate_all(titles))


def quality(title: str) -> float:
    return float(title.removeprefix("pq: "))


def check_open_photo(photo: Locator) -> None:
    """Open a photo: the tab *Annotate* offers no segments, and a selected one can be corrected."""
    page, modal = photo.page, photo.page.locator("[data-cy=modal]")
    photo.click()
    modal.get_by_text("Annotate", exact=True).click()
    expect(modal.get_by_text("Add schema", exact=True)).to_be_visible(timeout=60_000)
    modal.get_by_text("Explore", exact=True).click()
    box = modal.locator("canvas").first.bounding_box()
    assert box
    scale = min(box["width"] / 40, box["height"] / 30)  # the photo is in the middle
    x, y = DISC_AT[0] - 20, DISC_AT[1] - 15
    place = box["x"] + box["width"] / 2 + scale * x, box["y"] + box["height"] / 2 + scale * y

    def is_selected() -> bool:
        page.mouse.click(*place)
        page.wait_for_timeout(500)
        number = modal.locator(".fo-modal-action-bar-handle ~ *").get_by_text("1", exact=True)
        return number.count() > 0

    wait_for(is_selected, "the selected disc")
    modal.get_by_text("spellcheck", exact=True).click()  # the icon of *Correct label*
    expect(page.get_by_text("Label of 1 selected")).to_be_visible(timeout=60_000)
    page.get_by_text("Cancel", exact=True).click()
    for _ in range(2):  # the first only clears the selection
        page.keyboard.press("Escape")
    expect(modal).to_have_count(0)


def review_of(run: Path, port: int) -> list[str]:
    """Return a command as on a computer without a screen."""
    return [*PIPELINE, "review", str(run), "--port", str(port), "--remote"]


def prepare(dataset: Dataset, run: Path) -> str:
    """Convert a set with two test photos and write a run with their predictions.

    Box 1 of the photo with errors has a wrong corner. Return the name of that photo.
    """
    for name in "cd":
        draw_photo(dataset.root, name, GOOD)
    convert(dataset)
    wrong, _ = truth_of(dataset).photos
    predict(dataset, run / "predictions")
    write_run(run, RunConfig(str(dataset.root), TrainConfig()))
    draw_photo(dataset.root, Path(wrong.file_name).stem, [SLANTED, *GOOD[1:]])
    convert(dataset)
    return wrong.file_name


@needs_chromium
@needs_screen
def test_a_round_from_the_worst_photo_to_labelme_and_back(
    drawn: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, picture, port = tmp_path / "a run", tmp_path / "photo.png", free_port()
    name = prepare(drawn, run)
    with (
        virtual_screen(tmp_path / "home") as env,
        running_app(*review_of(run, port), env=env) as (url, app),
        sync_playwright() as playwright,
    ):
        assert app.stdout and f"ssh -N -L {port}:127.0.0.1:{port} " in app.stdout.readline()
        samples = fo.load_dataset(drawn.config.name)
        assert url.endswith(f"?view=worst-photos&workspace=review-{samples.slug}")
        page = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS).new_page()
        page.set_viewport_size({"width": 1500, "height": 900})
        page.goto(url)
        expect(page.get_by_text("2 samples", exact=True)).to_be_visible(timeout=60_000)
        page.get_by_text("Dismiss").click()  # an advertisement, which no setting hides
        wait_for(lambda: len(shown_pq(page)) == 2, "both photos")
        before, other = shown_pq(page)
        assert quality(before) < quality(other) == 1
        photo = page.locator("[data-cy=looker]").filter(has=page.get_by_title(before))
        hits, missed, confused = wait_for_masks(photo.locator("canvas"), picture)
        assert missed > confused > 0 == hits, picture  # both sides are drawn; hits are hidden

        check_open_photo(photo)
        page.get_by_text(re.compile("^wrong category: ")).click()  # in the panel
        page.wait_for_url(re.compile("view=error-wrong-category"))
        expect(page.get_by_text("1 sample", exact=True)).to_be_visible(timeout=60_000)
        for _ in range(60):
            _, missed, confused = wait_for_masks(photo.locator("canvas"), picture)
            if confused > missed:
                break
        assert confused > missed, picture  # box 2, which is missed, is hidden
        page.locator("[data-cy=saved-views-selection]").click()
        page.locator("[data-cy=saved-views-worst-photos-selection-option]").click()
        expect(page.get_by_text("2 samples", exact=True)).to_be_visible(timeout=60_000)

        page.get_by_text("selected photos", exact=True).click()
        expect(page.get_by_text("No photo is selected")).to_be_visible(timeout=60_000)
        photo.hover()
        photo.locator("label").click()
        expect(page.locator("[data-cy^=looker-checkbox-input]:checked")).to_have_count(1)
        page.get_by_text("selected photos", exact=True).click()
        expect(page.get_by_text("Photos tagged 'relabel': 1.")).to_be_visible(timeout=60_000)
        decide(drawn.root)
        assert read_decisions(drawn).relabel == (name,)

        output = move_corner(drawn, name, next_command(capsys.readouterr().out), env)
        assert re.search(rf"  {name}: [\d.]+ -> [\d.]+ \(\+", output)
        assert read_decisions(drawn).relabel == ()
        assert next_command(output) == ["review", str(run)]
        review(run, app=False)
        page.reload()
        samples.reload()
        sample = samples.one(fo.ViewField("photo") == name)
        assert sample["pq"] > quality(before)
        wait_for(lambda: len(shown_pq(page)) == 2, "both photos")
        assert [quality(title) for title in shown_pq(page)] == pytest.approx([sample["pq"], 1])
        assert "relabel" not in sample.tags


def move_corner(dataset: Dataset, name: str, words: list[str], env: dict[str, str]) -> str:
    """Run `relabel`, move the wrong corner with the mouse, and quit; return what it printed."""
    command = [*PIPELINE, *words]
    program = subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    window, path = Window(env), dataset.labelme / f"{Path(name).stem}.json"
    try:
        window.wait_until_shown()
        assert window.title() == f"1-fine/{name} [1/1]"
        shown = read_annotation(dataset.root / f".annotate/1-fine/{path.name}").shapes
        marks = ["? missed: box or road", "? missed: disc or box"]
        assert [shape.label for shape in shown] == [*marks, "box", "box", "disc", "? box"]
        before = path.read_bytes()
        window.drag(on_screen(CORNER), on_screen(RIGHT_PLACE))
        wait_for(lambda: path.read_bytes() != before, "the stored annotation")
        window.quit()
        output, _ = program.communicate(timeout=120)
    finally:
        program.kill()
    assert program.returncode == 0, output
    box, *others = read_annotation(path).shapes
    assert [shape.label for shape in others] == ["box", "disc"]
    assert box.points[2] == pytest.approx(RIGHT_PLACE, abs=0.2)
    return output
