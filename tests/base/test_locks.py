from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from base.errors import InputError
from base.locks import BusyError, locked, working_on
from tests.holding import hold


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


def test_a_lock_whose_file_was_removed_is_taken_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, held = tmp_path / "lock", []

    def enter() -> None:
        with locked(path):
            held.append(path.exists())

    with locked(path):
        second = threading.Thread(target=enter)
        second.start()
        while capsys.readouterr().out != f"{path}: waiting for another command to finish\n":
            second.join(0.05)
        path.unlink()
    second.join()
    assert held == [True]


def test_a_lock_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match="file/lock: cannot be written"),
        locked(tmp_path / "file/lock"),
    ):
        pass


def test_a_second_command_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    holder = hold(tmp_path / "set", "collect")
    busy = rf"set: `collect` \(process {holder.pid} on .*\) is working on it"
    with pytest.raises(BusyError, match=busy), working_on(tmp_path / "set", "fix", wait=False):
        pass
    holder.kill()  # the system releases the lock, though its file is still there
    holder.communicate()
    with working_on(tmp_path / "set", "fix", wait=False), working_on(tmp_path / "set", "convert"):
        (tmp_path / "set/file").touch()
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["file"]


def test_a_second_command_waits_and_says_for_whom(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    holder = hold(tmp_path, "collect")
    threading.Timer(0.3, lambda: holder.communicate("\n")).start()
    with working_on(tmp_path, "convert"):
        assert holder.wait(timeout=60) == 0
    waiting = f"{tmp_path}: waiting for `collect` (process {holder.pid} on "
    assert capsys.readouterr().out.startswith(waiting)


def test_a_folder_that_stays_empty_is_removed(tmp_path: Path) -> None:
    with working_on(tmp_path / "set", "collect"):
        assert (tmp_path / "set/.lock").exists()
    assert not (tmp_path / "set").exists()
