"""Writing data through to the disk, so that a power cut cannot take it back.

A file that is written and renamed may be empty after a power cut: the system keeps written data in
memory for up to half a minute, and may store the new name first.
"""

from __future__ import annotations

import ctypes
import os
import sys
from errno import EBADF, EINVAL
from pathlib import Path

_UNSUPPORTED = {EBADF, EINVAL}  # from file systems on which folders cannot be synchronised


def sync_file(path: Path | str) -> None:
    """Wait until the contents of a file are on the disk. Raises OSError if they cannot be."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path | str) -> None:
    """Wait until the names in a folder are on the disk: its new, renamed and removed files."""
    try:
        sync_file(path)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def sync_all(folder: Path) -> None:
    """Wait until everything that was written below `folder` is on the disk.

    One call takes much less time than `sync_file` for thousands of files. Raises OSError if data
    could not be written.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _sync_file_system(descriptor)
    finally:
        os.close(descriptor)


def _sync_file_system(descriptor: int) -> None:
    """Write all data of the file system of an open file to the disk."""
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform != "linux" or not hasattr(library, "syncfs"):
        os.sync()
    elif library.syncfs(descriptor):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
