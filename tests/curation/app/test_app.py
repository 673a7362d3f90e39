from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from urllib.request import urlopen

import fiftyone as fo
import pytest

from annotation.dataset import Dataset
from base.errors import InputError
from curation.app.app import check_port, open_app
from tests.curation.app.app_process import running_app
from tests.curation.conftest import Curate
from tests.drawn import free_port

OPEN = """
import signal, sys
from curation.app.app import open_app
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by default in background jobs
sys.modules["fiftyone.core.service"] = None  # hide the private name that open_app uses
open_app(sys.argv[1], port=int(sys.argv[2]), view="with findings")
"""


def stop_app(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert output.splitlines()[-1] == "FiftyOne's App: stopped"  # launch_app prints more
    assert process.returncode == 0


def test_the_app_runs_until_ctrl_c_without_private_names(drawn: Dataset, curate: Curate) -> None:
    command = (sys.executable, "-c", OPEN, curate(drawn).name, str(free_port()))
    with running_app(*command) as (url, process):
        assert "?view=with-findings&workspace=" in url
        with urlopen(url.partition("/datasets/")[0] + "/fiftyone", timeout=60) as answer:
            assert json.load(answer)["version"] == fo.__version__
        stop_app(process)


def test_a_port_in_use_is_an_error_that_names_a_free_one() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(InputError, match=rf"port {port}: in use.*try \d+"):
            check_port(port)


def test_an_unknown_data_set_is_an_error(mongo: str) -> None:
    assert not fo.dataset_exists("nothing")
    with pytest.raises(InputError, match=r"no data set 'nothing'; run `curate` first"):
        open_app("nothing", port=free_port())
