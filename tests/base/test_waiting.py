"""Ctrl-C ends waiting even if the waiting system call is not interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from base.waiting import wait_for

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.mark.parametrize("kind", [subprocess.Popen, psutil.Popen])
def test_ctrl_c_in_another_thread_ends_waiting(kind: type) -> None:
    """The signal reaches Python, but not the system call in which the main thread waits."""

    def interrupt() -> None:
        time.sleep(0.3)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    process, start = kind(SLEEP), time.monotonic()
    thread = threading.Thread(target=interrupt)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            wait_for(process)
        assert time.monotonic() - start < 30
    finally:
        thread.join()
        process.kill()
        process.wait()


def test_the_exit_code_is_returned() -> None:
    assert wait_for(subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])) == 3
