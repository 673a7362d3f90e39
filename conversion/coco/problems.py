"""Problems of a source, collected so that they are all reported at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from base.errors import InputError

MOST_PROBLEMS = 20  # in the list; the others are only counted


class Problems:
    """Problems of a source, collected so that they are all reported at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []  # the first ones
        self.count = 0

    def add(self, line: str) -> None:
        self.count += 1
        if len(self.lines) < MOST_PROBLEMS:
            self.lines.append(line)

    def extend(self, others: Problems) -> None:
        for line in others.lines:
            self.add(line)
        self.count += others.count - len(others.lines)

    @contextmanager
    def collecting(self, where: str) -> Iterator[None]:
        """Turn an error raised in the block into a problem at `where`."""
        try:
            yield
        except (InputError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self.add(f"{where}: {error}")
        except OSError as error:  # for example, a name that is longer than the system allows
            self.add(f"{where}: {error.strerror}")
        except RecursionError:
            self.add(f"{where}: is nested too deeply")

    def raise_if_any(self) -> None:
        """Raise one InputError with a line for each problem, if there are any."""
        if self.lines:
            more = self.count - len(self.lines)
            rest = [f"... and {more:,} more"] if more else []
            raise InputError("\n".join([*self.lines, *rest]))
