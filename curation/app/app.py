"""Open FiftyOne's App on this machine."""

from __future__ import annotations

import os
import socket
import sys
import webbrowser
from urllib.parse import quote

import fiftyone as fo
import fiftyone.core.service as fos

from base.errors import InputError
from curation.app.database import connect

ADDRESS = "127.0.0.1"


def open_app(name: str, *, port: int = 5151) -> None:
    """Serve the App with data set `name` and print its address; wait until Ctrl-C.

    Opens a browser where there is a desktop. Raises InputError where the port is taken or there
    is no such data set.
    """
    check_port(port)
    connect()
    if not fo.dataset_exists(name):
        raise InputError(f"FiftyOne has no data set '{name}'; run `curate` first")
    server = fos.ServerService(port, address=ADDRESS, do_not_track=True)
    url = f"http://{ADDRESS}:{port}/datasets/{quote(name, safe='')}"
    try:
        print(f"FiftyOne's App: {url}   (Ctrl-C ends it)", flush=True)
        if has_desktop():
            webbrowser.open(url)
        server.wait()
    except KeyboardInterrupt:
        print("FiftyOne's App: ended")
    finally:
        server.stop()


def check_port(port: int) -> None:
    """InputError that names a free port where `port` is taken."""
    if not _is_free(port):
        other = next((p for p in range(port + 1, port + 100) if _is_free(p)), None)
        raise InputError(
            f"port {port} is taken; another App may be open" + (f", try {other}" if other else "")
        )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True


def has_desktop() -> bool:
    """Whether a browser can show up: macOS, Windows, or a display of X11 or Wayland."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform in ("darwin", "win32") or any(os.environ.get(d) for d in displays)
