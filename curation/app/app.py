"""Open FiftyOne's App on this machine."""

from __future__ import annotations

import getpass
import os
import socket
import sys
import webbrowser
from urllib.parse import quote, urlencode

import fiftyone as fo

from base.ctrl_c import forget_ctrl_c
from base.errors import InputError
from curation.app.appearance import workspace_of
from curation.app.database import connect, explained_database_errors
from curation.app.fields import WORST_PHOTOS
from curation.app.fiftyone_private import app_server
from curation.app.plugin import install_plugin

ADDRESS = "127.0.0.1"


@explained_database_errors()
def open_app(
    name: str, *, port: int = 5151, remote: bool = False, view: str = WORST_PHOTOS
) -> None:
    """Serve the App with data set `name`, print its address and wait until Ctrl-C.

    The address opens `view`, a saved view, if the set has it: by default, the worst photos of a
    review. A browser opens if there is a desktop; with `remote`, the command that reaches this
    machine from another one is printed instead. Raises InputError if the port is in use or the data
    set does not exist.
    """
    check_port(port)
    connect()
    if not fo.dataset_exists(name):
        raise InputError(f"FiftyOne has no data set '{name}'; run `curate` first")
    start = _start(fo.load_dataset(name), view)
    url = f"http://{ADDRESS}:{port}/datasets/{quote(name, safe='')}{start}"
    install_plugin()
    try:
        with app_server(name, address=ADDRESS, port=port) as wait:
            print(f"FiftyOne's App: {url}   (press Ctrl-C to stop it)", flush=True)
            if remote:
                print(f"on your own machine, run this and open that address: {tunnel(port)}")
            elif has_desktop():
                webbrowser.open(url)
            wait()
    except KeyboardInterrupt:
        forget_ctrl_c()  # the usual way to end the App
        print("FiftyOne's App: stopped")


def _start(samples: fo.Dataset, view: str) -> str:
    """Return the query of the address: the workspace and, if the set has it, a saved view."""
    slugs = {}
    if samples.has_saved_view(view):
        slugs["view"] = view.replace(" ", "-")
    name = workspace_of(samples)
    if samples.has_workspace(name):
        slugs["workspace"] = f"{name.partition(' ')[0]}-{samples.slug}"
    return f"?{urlencode(slugs)}" if slugs else ""


def tunnel(port: int) -> str:
    """Return the command by which another machine reaches the App, which only this one can open."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # KeyError before Python 3.13
        user = "USER"  # who has no name, as in some containers
    return f"ssh -N -L {port}:{ADDRESS}:{port} {user}@{socket.gethostname()}"


def check_port(port: int) -> None:
    """Raise InputError if `port` is in use; the message names a free one."""
    if not _is_free(port):
        other = next((p for p in range(port + 1, port + 100) if _is_free(p)), None)
        raise InputError(
            f"port {port}: in use, perhaps by another App" + (f"; try {other}" if other else "")
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
    """Whether a browser window can open: on macOS, or if X11 or Wayland has a display."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform == "darwin" or any(os.environ.get(d) for d in displays)
