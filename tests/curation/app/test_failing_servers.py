"""FiftyOne's servers while they fail: MongoDB is killed or cannot write, the App is slow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pymongo
import pytest

from base.errors import InputError
from curation.app import fiftyone_private
from curation.app.database import check_server
from curation.app.fiftyone_private import (
    app_server,
    bundled_mongod,
    prepare_services,
)
from curation.app.service import end_left_server
from tests.curation.conftest import GOOD
from tests.drawn import free_port

# Loads a drawn set. When the first photos are stored, MongoDB with the id sys.argv[2] is killed, or
# cannot make its files longer any more, as on a full disk.
LOAD = """
import os, resource, signal, sys, time
from pathlib import Path
import fiftyone as fo
from base.errors import InputError
from conversion.building.build import convert
from conversion.building.check import check
from curation.loading import load, storing
from tests.curation.conftest import GOOD
from tests.drawn import draw_dataset

dataset = draw_dataset(Path(sys.argv[1]), {name: GOOD for name in "abcd"})
store = storing.set_by_photo

def set_by_photo(*arguments):
    pid, failure = int(sys.argv[2]), sys.argv[3]
    if failure == "killed":
        os.kill(pid, signal.SIGKILL)
    if failure == "full":
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, 4096))
    if failure:
        time.sleep(0.2)
    store(*arguments)

storing.set_by_photo = set_by_photo
convert(dataset)
try:
    samples = fo.load_dataset(load.load_dataset(dataset, check(dataset)))
    print(len(samples.values("photo")), sum(map(len, samples.values("ground_truth.detections"))))
except InputError as error:
    print(error)
"""


@contextmanager
def running_mongod(folder: Path, port: int) -> Iterator[tuple[str, int]]:
    """Run a MongoDB of the test's own; yield its URI and its process id."""
    folder.mkdir(exist_ok=True)
    command = [bundled_mongod(), "--dbpath", folder, "--port", port, "--nounixsocket", "--quiet"]
    server = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.DEVNULL,
        # so that writing beyond a limit is an error, as on a full disk, and not the end
        preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    )
    uri = f"mongodb://127.0.0.1:{port}"
    try:
        check_server(uri, seconds=60)  # it starts slowly on a busy machine
        yield f"{uri}/?serverSelectionTimeoutMS=1000", server.pid
    finally:
        server.kill()
        server.wait()


def load(folder: Path, uri: str, pid: int, failure: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder), str(pid), failure],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "FIFTYONE_DATABASE_URI": uri},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.splitlines()[-1]


def test_a_database_that_fails_is_reported_in_one_line_and_the_next_run_is_right(
    tmp_path: Path,
) -> None:
    port = free_port()
    for failure in ("killed", "full"):
        with running_mongod(tmp_path / "mongo", port) as (uri, pid):
            line = load(tmp_path / "set", uri, pid, failure)
            assert line.startswith("FIFTYONE_DATABASE_URI: FiftyOne's database failed: 127.0.0.1")
    with running_mongod(tmp_path / "mongo", port) as (uri, pid):
        assert load(tmp_path / "set", uri, pid, "") == f"4 {4 * len(GOOD)}"


def test_a_server_that_a_killed_service_left_is_ended(tmp_path: Path) -> None:
    folder = tmp_path / "mongo"
    with running_mongod(folder, free_port()) as (uri, pid):
        with pymongo.MongoClient[dict[str, Any]](uri) as client:
            client.server_info()
            with pytest.raises(InputError, match=f"programs still use its server, process {pid}"):
                end_left_server(folder)
        end_left_server(tmp_path)
        server = psutil.Process(pid)
        while any(one.status == psutil.CONN_ESTABLISHED for one in server.net_connections()):
            time.sleep(0.1)  # until the server has seen that the client is gone
        end_left_server(folder)
        assert not psutil.pid_exists(pid)


SLOW = """
import signal, socket, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(float(sys.argv[1]))
with socket.create_server(("127.0.0.1", int(sys.argv[2]))):
    time.sleep(600)
"""


@pytest.mark.parametrize(("seconds", "attempts"), [(2.0, 300), (600.0, 2)])
def test_a_slow_server_of_the_app_is_waited_for(
    seconds: float,
    attempts: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """FiftyOne waits once, for a limited time, and raises an error of its own.

    When it stops the server, it waits without a limit for one that does not end.
    """
    from fiftyone.core.service import ServerService

    prepare_services()
    port = free_port()
    command = [sys.executable, "-c", SLOW, str(seconds), str(port)]
    monkeypatch.setattr(ServerService, "command", command)
    monkeypatch.setattr(fiftyone_private, "LISTEN_SECONDS", 1)
    monkeypatch.setattr(fiftyone_private, "LISTEN_ATTEMPTS", attempts)
    monkeypatch.setattr(fiftyone_private, "STOP_SECONDS", 1)
    if seconds < attempts:
        with app_server("any", address="127.0.0.1", port=port) as wait:
            assert "FiftyOne: still starting" in capsys.readouterr().out
            (server,) = wait.args  # type: ignore[attr-defined]
            status = Path(f"/proc/{server.pid}/status").read_text()
            blocked = next(line for line in status.splitlines() if line.startswith("SigBlk"))
            assert int(blocked.split()[1], 16) >> (signal.SIGINT - 1) & 1  # Ctrl-C of a terminal
    else:
        with (
            pytest.raises(InputError, match=f"port {port}: FiftyOne's App did not start"),
            app_server("any", address="127.0.0.1", port=port),
        ):
            pass
