"""A simulated power cut: what was not synchronised with the disk is lost."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

Loss = Literal["data", "everything"]


class PowerCutError(BaseException):
    """The moment of the power cut; no `except Exception` of the program may catch it."""


class Disk:
    """The folder `root` as it is on the disk: only what was synchronised.

    While the context is entered, `os.fsync` and `sync_all` copy the synchronised files and names of
    folders. The power is cut at the step with the number `last`, counting synchronisations and
    renamed files.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch, last: int) -> None:
        self._root, self._last, self.steps = root, last, 0
        self._contents: dict[int, bytes] = {}  # by inode
        self._names: dict[int, dict[str, os.stat_result | str]] = {}  # of folders; a link's target
        self._kept: list[int] = []  # open files, so that their inodes are not used again
        self._copy_all()
        replace = os.replace
        patch.setattr(os, "replace", lambda a, b: self._step(lambda: replace(a, b)))
        patch.setattr(os, "fsync", lambda file: self._step(lambda: self._copy(file)))
        name = "base.syncing._sync_file_system"
        patch.setattr(name, lambda _: self._step(self._copy_all))

    def _step(self, act: Callable[[], object]) -> None:
        self.steps += 1
        if self.steps > self._last:
            raise PowerCutError
        act()

    def _copy(self, file: int) -> None:
        status = os.fstat(file)
        self._kept.append(os.dup(file))
        place = Path(f"/proc/self/fd/{file}").readlink()
        if stat.S_ISDIR(status.st_mode):
            self._names[status.st_ino] = {
                one.name: one.readlink().as_posix() if one.is_symlink() else one.stat()
                for one in place.iterdir()
            }
        else:
            self._contents[status.st_ino] = place.read_bytes()

    def _copy_all(self) -> None:
        for folder, _, names in os.walk(self._root):
            for path in (Path(folder), *(Path(folder, name) for name in names)):
                if not path.is_symlink():
                    file = os.open(path, os.O_RDONLY)
                    self._copy(file)
                    os.close(file)

    def cut(self, loss: Loss) -> None:
        """Lose the `data` that was not synchronised, or `everything`, new names included.

        In the first case, SQLite's files are complete: it synchronises them itself.
        """
        if loss == "data":
            for path in self._root.rglob("*"):
                if path.is_file() and not path.is_symlink() and ".cache" not in path.parts:
                    self._lose(path)
        else:
            inode = self._root.stat().st_ino
            shutil.rmtree(self._root)
            self._restore(self._root, inode)
        for file in self._kept:
            os.close(file)

    def _lose(self, path: Path) -> None:
        status = path.stat()
        kept = self._contents.get(status.st_ino, b"")
        # a hard link is a new name of a file that was on the disk before
        if status.st_nlink == 1 and kept != path.read_bytes():
            path.write_bytes(kept)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _restore(self, folder: Path, inode: int) -> None:
        folder.mkdir()
        for name, found in self._names.get(inode, {}).items():
            path = folder / name
            if isinstance(found, str):
                path.symlink_to(found)
            elif stat.S_ISDIR(found.st_mode):
                self._restore(path, found.st_ino)
            else:
                path.write_bytes(self._contents.get(found.st_ino, b""))
                os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def cut_at_every_step(
    prepare: Callable[[], Path],
    command: Callable[[Path], object],
    check: Callable[[Path], None],
    *,
    loss: Loss,
    every: int = 1,
) -> int:
    """Cut the power at each step of a command on the folder that `prepare` makes, then check it.

    Return the number of steps of an unbroken run, after which the power is cut as well.
    """
    last = 0
    while True:
        root = prepare()
        with pytest.MonkeyPatch.context() as patch:
            disk, finished = Disk(root, patch, last), False
            try:
                command(root)
                finished = True
            except PowerCutError:
                pass
        disk.cut(loss)
        check(root)
        if finished:
            return disk.steps
        last += every
