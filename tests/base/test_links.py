from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pytest

from base.links import link_or_copy


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_a_link_is_made(tmp_path: Path, kind: Literal["symbolic", "hard"]) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo")
    target = tmp_path / "set/sub/b.jpg"
    link_or_copy(tmp_path / "a.jpg", target, kind=kind)
    assert target.samefile(tmp_path / "a.jpg")
    assert target.is_symlink() == (kind == "symbolic")


def test_a_symbolic_link_moves_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.jpg").write_bytes(b"photo")
    (tmp_path / "elsewhere").symlink_to("set")  # another way to the folder
    link_or_copy(tmp_path / "elsewhere/a.jpg", tmp_path / "set/links/a.jpg", kind="symbolic")
    link_or_copy(tmp_path / "set/a.jpg", tmp_path / "elsewhere/links/b.jpg", kind="symbolic")
    (tmp_path / "set").rename(tmp_path / "moved")
    assert (tmp_path / "moved/links/b.jpg").read_bytes() == b"photo"


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_a_copy_is_made_if_links_are_not_supported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Literal["symbolic", "hard"]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "symlink", refuse)
    (tmp_path / "a.jpg").write_bytes(b"photo")
    link_or_copy(tmp_path / "a.jpg", tmp_path / "b.jpg", kind=kind)
    assert (tmp_path / "b.jpg").read_bytes() == b"photo"
    assert not (tmp_path / "b.jpg").is_symlink()
    assert (tmp_path / "b.jpg").stat().st_nlink == 1
