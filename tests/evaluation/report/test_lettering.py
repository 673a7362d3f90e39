"""Names in pictures, also in scripts that OpenCV cannot draw."""

from __future__ import annotations

import numpy as np
import pytest

from conversion.coco.categories import Category
from evaluation.report.lettering import has_font, names_by_id, names_for_one_line, render


@pytest.mark.parametrize("name", ["Straße", "машина", "αυτοκίνητο", "سيارة"])
def test_names_in_other_scripts_are_drawn_with_their_own_letters(name: str) -> None:
    drawn = render(name, height=20, otherwise="#7").letters
    assert not np.array_equal(drawn, render("#7", height=20, otherwise="").letters)
    # as wide as a word and not a row of one sign for all missing letters
    shifted = {drawn[:, x : x + 8].tobytes() for x in range(0, drawn.shape[1] - 8, 8)}
    assert len(shifted) > 3


def test_a_name_that_no_font_has_is_replaced() -> None:
    unassigned = "\U000e1000"
    drawn = render(unassigned, height=20, otherwise="#7").letters
    assert np.array_equal(drawn, render("#7", height=20, otherwise="").letters)


def test_only_names_without_a_font_are_replaced_in_a_line() -> None:
    names = ("Straße", "машина", "\U000e1000")
    categories = [Category(i, name, True, (0, 0, 0)) for i, name in enumerate(names, start=5)]
    assert [c.name for c in names_for_one_line(categories)] == ["Straße", "машина", "#7"]
    missing = [c for c in categories if not has_font(c.name)]
    assert names_by_id(missing) == "#7: \U000e1000"


def test_letters_are_white_with_a_dark_border_and_are_cut_off_at_the_edges() -> None:
    picture = np.full((30, 40, 3), 128, np.uint8)
    render("wide", height=20, otherwise="").write(picture, left=10, top=15)
    assert picture.max() == 255 and picture.min() < 30 and (picture[:, :10] == 128).all()
