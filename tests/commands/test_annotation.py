"""What `validate` prints about a set without findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.annotation import validate
from tests.drawn import draw_dataset, square


def test_a_clean_set_says_what_was_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box, disc = square("box", 2, 2, 9), square("disc", 20, 2, 9)
    draw_dataset(tmp_path, {name: [box, disc] for name in "abcd"})
    validate(tmp_path, pixels=False)
    printed = capsys.readouterr().out
    assert "no findings" in printed
    assert "checked: 4 annotation files, 4 usable; 8 things: 4 box, 4 disc\n" in printed
