"""Painting on a Dask cluster: real workers, one of which is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from base.errors import InputError
from conversion.building.build import convert
from tests.conversion.building.builds import draw, tree, tree_of_fresh
from tests.drawn import free_port

PHOTOS = 160


def test_a_killed_worker_loses_no_results(tmp_path: Path) -> None:
    from distributed import LocalCluster

    dataset = draw(tmp_path / "set", PHOTOS)
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        victim = next(iter(cluster.workers.values())).pid
        killer = threading.Thread(target=kill_half_way, args=(dataset.panoptic, victim))
        killer.start()
        built = convert(dataset, scheduler=cluster.scheduler_address)
        killer.join()
    assert sum(built.photos.values()) == PHOTOS
    assert tree(dataset) == tree_of_fresh(tmp_path / "fresh", PHOTOS)


def kill_half_way(panoptic: Path, pid: int) -> None:
    """Kill a worker when some photos are painted, but far from all."""
    for _ in range(3000):
        if len(list(panoptic.glob(".new/*.png"))) > PHOTOS / 10:
            break
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)


def test_a_scheduler_that_cannot_be_reached(tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(InputError, match=f"--scheduler {address}: expected the address of a Dask"):
        convert(draw(tmp_path, 2), scheduler=address)
