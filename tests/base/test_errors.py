from __future__ import annotations

import pytest

from base.errors import nearest


@pytest.mark.parametrize(
    ("name", "known", "end"),
    [
        ("raod", ["sky", "road"], "; did you mean 'road'?"),
        ("group_buy", ["group_pattern", "group_by"], "; did you mean 'group_by'?"),
        ("xyz", ["sky", "road"], "; known: sky, road"),
        ("red", ["occluded", "truncated"], "; known: occluded, truncated"),
        ("Road", ["sky", "road"], "; did you mean 'road'?"),
        ("sky-other", ["sky-other-merged", "road"], "; did you mean 'sky-other-merged'?"),
        ("xyz", [f"name{i}" for i in range(13)], ""),
        ("xyz", [], "; known: "),
    ],
)
def test_the_most_similar_name_is_suggested(name: str, known: list[str], end: str) -> None:
    assert nearest(name, known) == end
