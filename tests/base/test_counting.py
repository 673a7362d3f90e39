"""A number and its noun."""

from __future__ import annotations

from base.counting import counted


def test_the_noun_is_singular_only_after_1() -> None:
    assert [counted(n, "photo") for n in (0, 1, 1200)] == ["0 photos", "1 photo", "1,200 photos"]
    assert counted(1, "category", "categories") == "1 category"
    assert counted(2, "category", "categories") == "2 categories"
