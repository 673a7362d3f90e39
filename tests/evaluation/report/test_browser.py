"""The report in a browser: filters, sorting, and figures that open their photos."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conversion.building.build import convert
from conversion.coco.png import VOID, encode_png, read_segment_ids
from evaluation.report.page import write_report
from tests.browser import CHROMIUM, FLAGS, needs_chromium
from tests.drawn import BOX, DISC, YAML, draw_dataset, square

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE = "<img src=x onerror=alert(1)>"  # the name of the category `box` in this set


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw a set with a prediction of three test photos: one with a missed box, one whose disc is
    called a box, and one without errors."""
    root = tmp_path_factory.mktemp("browser")
    shapes = [square(HOSTILE, 2, 3, 8), square("disc", 20, 5, 8)]
    yaml = YAML.replace("box", f'"{HOSTILE}"')
    dataset = draw_dataset(root / "set", {f"p{i}": shapes for i in range(6)}, yaml=yaml)
    convert(dataset)
    truth = dataset.panoptic / "annotations/panoptic_test.json"
    out = root / "run/predictions"
    (out / "panoptic").mkdir(parents=True)
    data = json.loads(truth.read_text())
    for number, annotation in enumerate(data["annotations"]):
        name = annotation["file_name"]
        ids = read_segment_ids(dataset.panoptic / "panoptic_test" / name, (30, 40))
        for segment in list(annotation["segments_info"]):
            segment["score"] = 0.9
            if number == 0 and segment["category_id"] == BOX:
                ids[ids == segment["id"]] = VOID
                annotation["segments_info"].remove(segment)
            if number == 1 and segment["category_id"] == DISC:
                segment["category_id"] = BOX
        (out / "panoptic" / name).write_bytes(encode_png(ids))
    (out / "panoptic.json").write_text(json.dumps(data))
    log = '{"stage": "boxes", "epoch": 1, "train": {"loss": 4.0}, "test": {"loss": 5.0}}\n'
    (root / "run/log.jsonl").write_text(log)
    return root


def write(root: Path, *, rows: int) -> Path:
    """Write the report with pictures of some photos."""
    return write_report(
        root / "set/panoptic/annotations/panoptic_test.json",
        root / "run/predictions/panoptic.json",
        images=root / "set/images",
        folder=root / "run",
        log=root / "run/log.jsonl",
        settings=(root / "set/dataset.yaml",),
        title="t",
        rows=rows,
    ).page


@pytest.fixture(scope="module")
def page(root: Path) -> Iterator[Page]:
    """Open the report; nothing may appear in the console, and nothing may leave the disk."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(dialog.message))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith("file:") else problems.append(request.url)
            ),
        )
        page.goto(write(root, rows=100).as_uri())
        yield page
        browser.close()
    assert not problems


def shown(page: Page) -> list[str]:
    """Return the PQ of the photos that are shown, from top to bottom."""
    return page.locator("#rows > .row:visible > p b").all_inner_texts()


def start(page: Page) -> None:
    page.locator("#filter button[type=reset]").click()
    eventually(page, lambda: len(shown(page)) == 3)


def eventually(page: Page, holds: Callable[[], bool]) -> None:
    """Wait for the page to follow its address, which it does after the click or key returns."""
    for _ in range(100):
        if holds():
            return
        page.wait_for_timeout(100)
    assert holds()


@needs_chromium
def test_a_bar_opens_its_photos(page: Page) -> None:
    start(page)
    page.locator(".bars a", has_text="missed").click()
    eventually(page, lambda: page.locator("#status").inner_text() == "1 of 3 photos")
    row = page.locator("#rows > .row:visible")
    assert row.locator(".chip:visible").all_inner_texts() == ["missed"]
    assert row.locator("svg path.casing").count() == 1
    assert page.locator("#photos h2").bounding_box()["y"] < 200  # type: ignore[index]
    page.go_back()
    eventually(page, lambda: len(shown(page)) == 3)


@needs_chromium
def test_cells_and_rows_open_their_photos_by_keyboard(page: Page) -> None:
    start(page)
    confused = page.locator(f'.matrix a[href="#true={DISC}&predicted={BOX}"]')
    assert confused.inner_text() == "1"
    confused.focus()
    page.keyboard.press("Enter")
    eventually(page, lambda: page.locator("#extra").inner_text() == f"disc predicted as {HOSTILE}")
    assert page.locator("#rows > .row:visible .chip:visible").all_inner_texts() == [
        "wrong category",
        "wrong category",
    ]
    for link, number in (
        (f'.matrix a[href="#true={DISC}&predicted={DISC}"]', 2),
        (f'.categories a[href="#category={BOX}&outcome=fp"]', 1),
        (f'.categories a[href="#category={BOX}"]', 3),
        ("#sizes a.far", 2),
        ('#confidence a[href="#confidence=9"]', 3),
    ):
        page.locator(link).first.press("Enter")
        eventually(page, lambda number=number: len(shown(page)) == number)


@needs_chromium
def test_filters_and_order(page: Page) -> None:
    start(page)
    page.locator(".cards a").click()
    eventually(page, lambda: page.locator("[name=sort]").input_value() == "worst")
    worst = shown(page)
    assert page.locator(".bars a:not([href])", has_text="split").count() == 1  # there are none
    page.locator("[name=sort]").select_option("best")
    assert shown(page) == worst[::-1] != worst
    assert worst[-1] == "PQ 100.0"
    page.locator("[name=to]").fill("99")
    assert shown(page) == worst[-2::-1]
    page.locator("[name=kind]").select_option("missed")
    assert len(shown(page)) == 1
    page.reload()  # the address has the filters
    assert len(shown(page)) == 1


@needs_chromium
def test_the_table_is_sorted(page: Page) -> None:
    start(page)

    def first_column() -> list[str]:
        return page.locator(".categories tbody th a").all_inner_texts()

    page.locator(".categories thead button", has_text="PQ").click()
    falling = first_column()
    page.locator(".categories thead button", has_text="PQ").click()
    assert first_column()[0] == falling[-1] == HOSTILE  # it has both errors
    assert page.locator("[aria-sort=ascending]").inner_text().startswith("PQ")


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_and_pictures_are_large(page: Page, scheme: str) -> None:
    start(page)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator(".row img").first.bounding_box()["width"] > 340  # type: ignore[index]
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(background.removeprefix("rgb(").split(",")[0])
    assert (red < 60) == (scheme == "dark")
    page.set_viewport_size({"width": 1400, "height": 900})


@needs_chromium
def test_photos_without_pictures_are_listed_at_once(page: Page, root: Path) -> None:
    """Only one photo has pictures, so at least one of the two errors is in another photo."""
    page.goto(write(root, rows=1).as_uri())
    for kind in ("missed", "wrong category"):
        page.locator(".bars a", has_text=kind).first.click()
        eventually(page, lambda kind=kind: page.locator("[name=kind]").input_value() == kind)
        assert shown(page) or page.locator("#others p").is_visible()
