"""The subcommands that fill a data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import InputError
from commands.intake import collect, sample


@pytest.mark.parametrize("images", [0, -1])
def test_a_sample_needs_photos(images: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"images: expected 1 or more, found {images}"):
        sample(tmp_path / "set", images=images)
    assert not (tmp_path / "set").exists()


def test_collecting_nothing_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(InputError, match="no photo could be added"):
        collect((tmp_path / "broken.mp4", tmp_path / "set"))
    assert "broken.mp4: no frame can be decoded" in capsys.readouterr().out
