"""The health of a small set whose numbers can be checked by eye."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from base.errors import InputError
from commands.conversion import health as health_command
from conversion.building.build import convert
from conversion.coco.categories import Category
from conversion.health.page import write_health
from conversion.health.survey import COLUMNS, ROWS, Health, sample, survey
from conversion.health.text import health_lines, health_table, places_lines
from tests.drawn import draw_dataset, square


@pytest.fixture(scope="module")
def panoptic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photos of 40x30: sky above road above two rows of void; a box in all but the last."""
    shapes = {f"p{n}": [square("box", 20, 0, 10)] for n in range(3)}
    shapes["p2"].append(square("disc", 0, 20, 6))
    dataset = draw_dataset(tmp_path_factory.mktemp("set"), {**shapes, "p3": []})
    convert(dataset)
    return dataset.panoptic


@pytest.fixture(scope="module")
def health(panoptic: Path) -> Health:
    return survey(panoptic)


def test_photos_sizes_things_and_void_are_counted(health: Health) -> None:
    assert sum(health.photos.values()) == 4 and set(health.photos) == {"train", "test"}
    assert health.sizes == {(40, 30): 4}
    assert health.things == (0, 1, 1, 2)
    assert health.void == pytest.approx(2 / 30, abs=0.01)
    assert health.mostly_void == ()
    assert [name.partition("/")[2] for name in health.without_things] == ["p3.jpg"]


def test_categories_have_counts_shares_and_sizes(health: Health) -> None:
    by_name = {one.category.name: one for one in health.categories}
    box, road = by_name["box"], by_name["road"]
    assert sum(box.segments.values()) == sum(box.photos.values()) == 3
    assert box.share == pytest.approx(3 * 100 / (4 * 1200), abs=0.02)
    assert box.typical_side == pytest.approx(10, abs=1)
    assert sum(road.segments.values()) == 4
    assert sum(by_name["disc"].segments.values()) == 1


def test_places_are_shares_of_photos(health: Health) -> None:
    by_name = {one.category.name: one.places for one in health.categories}
    right = slice(17, 23)  # columns 20 to 29 of 40
    assert (by_name["box"][:7, right] == 0.75).all()
    assert (by_name["sky-other-merged"][:7, right] == 0.25).all()
    assert (by_name["sky-other-merged"][:7, :15] == 1).all()
    assert (by_name["road"][-1] == 0).all()  # void
    assert health.thing_places.max() == 0.75


def test_each_cell_is_sampled_at_its_centre() -> None:
    ids = np.arange(2 * ROWS * 3 * COLUMNS, dtype=np.uint32).reshape(2 * ROWS, 3 * COLUMNS)
    assert (sample(ids) == ids[1::2, 1::3]).all()
    assert sample(np.full((1, 1), 7, np.uint32)).tolist() == [[7] * COLUMNS] * ROWS


def test_the_terminal_shows_the_same_numbers(health: Health) -> None:
    lines = list(health_lines(health))
    assert re.fullmatch(r"photos: 4 \(\d test, \d train\)", lines[0])
    assert lines[1:3] == ["sizes: 40x30: 4", "things per photo: 0 to 2, median 1"]
    assert re.fullmatch(r"void: [67]\.\d% of all pixels", lines[3])
    assert re.fullmatch(r"photos without things: 1: (train|test)/p3\.jpg", lines[4])
    assert health_table(health).row_count == 4
    drawn = list(places_lines(health.thing_places))
    assert len(drawn) == ROWS // 2 and {len(line) for line in drawn} == {COLUMNS + 2}
    assert drawn[0][1:15].strip() == "" and drawn[0][20] == "█"


def test_the_page_has_a_picture_per_category_and_escapes_names(
    health: Health, tmp_path: Path
) -> None:
    first = health.categories[0]
    named = replace(first, category=Category(1, "<b>x", first.category.isthing, (0, 0, 0)))
    write_health(
        tmp_path / "h.html", replace(health, categories=(named, *health.categories[1:])), name="a&b"
    )
    html = (tmp_path / "h.html").read_text()
    assert html.count("data:image/png;base64,") == 5  # with that of all things
    assert "a&amp;b: health" in html and "&lt;b&gt;x" in html and "<b>x" not in html


def test_the_command_writes_the_page_and_refuses_sets_that_are_not_built(
    panoptic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    health_command(panoptic.parent, html=tmp_path / "h.html")
    assert "photos: 4" in capsys.readouterr().out
    assert (tmp_path / "h.html").is_file()
    dataset = draw_dataset(tmp_path / "new", {"a": []})
    with pytest.raises(InputError, match=r"panoptic: not built; run `pipeline\.py convert"):
        health_command(dataset.root)
