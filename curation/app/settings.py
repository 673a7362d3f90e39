"""Settings for FiftyOne: no usage reports, this machine only, no progress bars or messages."""

from __future__ import annotations

import logging
import os

ENVIRONMENT = {
    "FIFTYONE_DO_NOT_TRACK": "true",
    "FIFTYONE_DEFAULT_APP_ADDRESS": "127.0.0.1",
    "FIFTYONE_SHOW_PROGRESS_BARS": "false",
    "FIFTYONE_LOGGING_LEVEL": "ERROR",
    # without it, each filter of a field without an index shows a message to create one
    "FIFTYONE_APP_DEFAULT_QUERY_PERFORMANCE": "false",
}


def set_environment() -> None:
    """Set the environment variables of FiftyOne that the user has not set.

    They apply to this process, if it has not imported FiftyOne yet, and to FiftyOne's services.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def apply_settings() -> None:
    """Apply the same variables to a FiftyOne that was imported earlier, as in a notebook."""
    import fiftyone as fo  # not above: `set_environment` comes first

    fo.config.do_not_track = _is_true("FIFTYONE_DO_NOT_TRACK")
    fo.config.default_app_address = os.environ["FIFTYONE_DEFAULT_APP_ADDRESS"]
    fo.config.show_progress_bars = _is_true("FIFTYONE_SHOW_PROGRESS_BARS")
    logging.getLogger("fiftyone").setLevel(os.environ["FIFTYONE_LOGGING_LEVEL"])


def _is_true(name: str) -> bool:
    return os.environ[name].lower() in ("1", "true")
