"""Settings of OpenMP threads. Import no torch here: it reads them when it loads."""

from __future__ import annotations

import os

SPIN_COUNT = "3000"


def limit_spinning() -> None:
    """Make torch's waiting threads sleep soon, unless the environment already says otherwise.

    A thread that waits for others spins for a while before it sleeps. With libgomp's default of
    300,000 spins, training takes a third longer when another program needs the processor; with 100,
    a third longer when none does. libgomp reads this once, when torch is loaded, so it cannot be
    undone; other programs, and other OpenMP libraries, ignore it.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
