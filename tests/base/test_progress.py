"""Progress in logs, where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from base import progress
from base.progress import track


def test_a_quick_loop_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(1000), "count")) == list(range(1000))
    assert capsys.readouterr().out == ""


def test_a_long_loop_prints_lines_at_intervals(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.1)
    start = time.monotonic()
    for _ in track(range(30), "count"):
        time.sleep(0.02)
    seconds = time.monotonic() - start
    *lines, last = capsys.readouterr().out.splitlines()
    assert last.startswith("count: 30 done in ")
    assert 2 <= len(lines) <= seconds / 0.1  # the loop takes 0.6 s or, on a busy machine, longer
    numbers = [int(line.removeprefix("count: ").partition(" of 30, ")[0]) for line in lines]
    assert numbers == sorted(numbers) and 0 < numbers[0] < numbers[-1] < 30
    assert all(line.endswith(" s left") for line in lines)


def test_items_without_a_length_are_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    list(track(iter_three(), "files"))
    assert capsys.readouterr().out.splitlines() == [
        "files: 0 done",
        "files: 1 done",
        "files: 2 done",
        "files: 3 done in 0 s",
    ]
    list(track(iter_three(), "files", total=3))
    assert capsys.readouterr().out.splitlines()[0] == "files: 0 of 3"


def iter_three() -> Iterator[str]:
    yield from "abc"
