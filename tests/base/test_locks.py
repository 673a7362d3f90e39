from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from base.errors import InputError
from base.locks import locked


def test_a_second_lock_is_refused_until_the_first_is_released(tmp_path: Path) -> None:
    path = tmp_path / "new/lock"
    refused = pytest.raises(InputError, match="in use")
    with locked(path, busy="in use"), refused, locked(path, busy="in use"):
        pass
    with locked(path, busy="in use"):
        pass


def test_a_child_process_keeps_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, busy="in use") as descriptor:
        command = [sys.executable, "-c", "input()"]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[descriptor])
    with pytest.raises(InputError, match="in use"), locked(path, busy="in use"):
        pass
    child.communicate(b"\n")
    with locked(path, busy="in use"):
        pass


def test_a_lock_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="file/lock: cannot be written"),
        locked(tmp_path / "file/lock"),
    ):
        pass
