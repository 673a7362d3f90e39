from __future__ import annotations

from pathlib import Path

import pytest

import annotation.intake.collect
from annotation.intake.collect import collect
from base.errors import InputError
from tests.annotation.intake.collected import (
    groups,
    names,
    photo,
    state,
    write_files,
    write_video,
)
from tests.annotation.photos.test_likeness import landscape


@pytest.mark.parametrize("stop_at", range(8))
@pytest.mark.parametrize("before", [True, False], ids=["before-the-photo", "after-the-photo"])
def test_the_next_run_completes_an_interrupted_run(
    here: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int, before: bool
) -> None:
    files = {"a.jpg": photo(1, orientation=8), "b.jpg": photo(2), "c.jpg": photo(1, quality=30)}
    write_files(here / "in", {**files, "d.jpg": photo(2, quality=50), "e/a.jpg": photo(4)})
    write_video(here / "clip.avi", [landscape(n) for n in (7, 8, 2)], code="MJPG", fps=1)
    sources = [Path("in"), Path("clip.avi")]
    collect(sources, Path("whole"))

    written = 0
    real = annotation.intake.collect.write_bytes

    def stopping(path: Path, data: bytes, *, durable: bool) -> None:
        nonlocal written
        if not before:
            real(path, data, durable=durable)
        if written == stop_at:
            raise KeyboardInterrupt
        if before:
            real(path, data, durable=durable)
        written += 1

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(annotation.intake.collect, "write_bytes", stopping)
        collect(sources, Path("stopped"))
    assert not (here / "stopped/photos.csv").exists()
    collect(sources, Path("stopped"))
    assert state(here / "stopped") == state(here / "whole")
    assert len(names(here / "whole")) == 8


def test_an_incomplete_line_of_the_record_is_removed(here: Path) -> None:
    write_files(here / "in", {"a.jpg": photo(1), "b.jpg": photo(2)})
    collect([Path("in")], Path("set"))
    whole = state(here / "set")
    record = here / "set/collected.jsonl"
    record.write_bytes(record.read_bytes()[:-20])  # as after a power failure: half a line, no photo
    (here / "set/images/b.jpg").unlink()
    (here / "set/photos.csv").unlink()
    collect([Path("in")], Path("set"))
    assert state(here / "set") == whole
    for line in (b"{}", b'{"x":' + b"[" * 100_000):
        record.write_bytes(line + b"\n")
        with pytest.raises(InputError, match=r"line 1: is not a record of a photo"):
            collect([Path("in")], Path("set"))


def test_a_deleted_photo_is_added_again(here: Path) -> None:
    write_files(here / "in", {"a.jpg": photo(1), "b.jpg": photo(2)})
    collect([Path("in")], Path("set"))
    (here / "set/images/a.jpg").unlink()
    collected = collect([Path("in")], Path("set"))
    assert [origin.image for origin in collected.added] == ["a.jpg"]
    assert groups(here / "set") == {"a.jpg": "in/a.jpg", "b.jpg": "in/b.jpg"}
