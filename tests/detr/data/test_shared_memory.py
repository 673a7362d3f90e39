"""Workers with little shared memory, as in containers: Docker gives them 64 MB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.detr.drawn import draw_set

ROOT = Path(__file__).parents[3]
MOUNT = "mount -t tmpfs -o size={size} tmpfs /dev/shm"
PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
import detr, torch
from detr.data.loader import read_batches
from detr.data.splits import read_splits
from tests.detr.training.runs import CONFIG

splits, read = read_splits(Path(sys.argv[1])), []
for num_workers in (0, 1):
    examples = splits.examples("train", replace(CONFIG, num_workers=num_workers))
    read.append([batch.inputs.values for batch in read_batches(examples, [[0, 1], [2, 3], [3]])])
assert all(torch.equal(*pair) for pair in zip(*read, strict=True))
"""


@pytest.mark.parametrize(
    ("size", "message"),
    [("200k", "shared memory (/dev/shm) is full, so batches are sent through pipes"), ("64m", "")],
)
def test_photos_that_do_not_fit_into_shared_memory_are_read_too(
    size: str, message: str, tmp_path: Path
) -> None:
    """The same batches as without workers, and one line about it, however many there are."""
    panoptic = draw_set(tmp_path / "panoptic", train=4, test=1, width=192, height=128)
    mounted = f"{MOUNT.format(size=size)} && exec {sys.executable} -c '{PROGRAM}' {panoptic}"
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", mounted]
    if subprocess.run([*command[:-1], MOUNT.format(size=size)], capture_output=True).returncode:
        pytest.skip("this system does not allow a /dev/shm of the test's own")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert done.stdout.startswith(message) and done.stdout.count("\n") == bool(message)
