"""Setting up a process that works on photos."""

from __future__ import annotations

import warnings

import cv2


def prepare_process() -> None:
    """Use one thread for OpenCV, since there is a process per core, and ignore warnings."""
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")  # Pillow warns about unusual metadata
