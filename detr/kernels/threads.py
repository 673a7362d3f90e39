"""Settings of OpenMP threads. Do not import torch here: it reads them when it is loaded."""

from __future__ import annotations

import os

SPIN_COUNT = "3000"


def limit_spinning() -> None:
    """Make torch's waiting threads sleep earlier, unless environment variables already set this.

    A thread that waits for others spins for a while before it sleeps. With libgomp's default of
    300,000 spins, training takes a third longer if another program needs the processor; with 100
    spins, it takes a third longer if none does. libgomp reads the setting once, when torch is
    loaded, so it cannot be changed later; other OpenMP libraries ignore it.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
