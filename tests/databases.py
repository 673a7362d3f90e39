"""What can be wrong with a SQLite database, or with the disk that it is on."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest


def overwrite_pages(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def fill_the_disk(patch: pytest.MonkeyPatch) -> None:
    """Let no database have more than 8 pages; SQLite then reports a full disk."""
    real = sqlite3.connect

    def connect(path: Path, timeout: float = 5) -> sqlite3.Connection:
        connection = real(path, timeout)
        connection.execute("PRAGMA max_page_count = 8")
        return connection

    patch.setattr(sqlite3, "connect", connect)
