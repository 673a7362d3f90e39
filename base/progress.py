"""Progress with the remaining time: a bar in a terminal, and lines of text elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import length_hint
from time import monotonic
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from base.durations import duration

T = TypeVar("T")

LINE_SECONDS = 20  # between lines; so that one comes every 30 s if an item takes up to 10 s


def track(items: Iterable[T], title: str, *, total: int | None = None) -> Iterator[T]:
    """Yield the items and show how many are done.

    In a terminal, a bar is shown, which disappears at the end. Elsewhere, such as in a log, a line
    is printed every 20 seconds and at the end, and none for loops that take less.
    """
    console = Console()
    if not console.is_terminal:
        yield from _with_lines(items, title, length_hint(items) if total is None else total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(items, total=total, description=title)


def _with_lines(items: Iterable[T], title: str, total: int) -> Iterator[T]:
    """Yield the items, and print a line whenever LINE_SECONDS have passed; `total` 0: unknown."""
    start = last = monotonic()
    done = 0
    for item in items:
        now = monotonic()
        if now - last >= LINE_SECONDS:
            print(_line(title, done, total, now - start), flush=True)
            last = now
        yield item
        done += 1
    if monotonic() - start >= LINE_SECONDS:
        print(f"{title}: {done} done in {duration(monotonic() - start)}", flush=True)


def _line(title: str, done: int, total: int, seconds: float) -> str:
    """Describe the progress after `seconds`, with the remaining time if it can be estimated."""
    if not total:
        return f"{title}: {done} done"
    if not done:
        return f"{title}: 0 of {total}"
    return f"{title}: {done} of {total}, {duration(seconds / done * (total - done))} left"
