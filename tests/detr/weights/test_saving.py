"""Checkpoints on a full disk and through a power cut."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from detr.weights.saving import save_torch

ROOT = Path(__file__).parents[3]
FILL = """
import sys
from pathlib import Path
import detr, torch
from base.errors import InputError
from detr.weights.saving import save_torch
path = Path(sys.argv[1], "x.pt")
save_torch(path, {"weights": torch.ones(100_000)}, durable=True)
before = path.read_bytes()
try:
    save_torch(path, {"weights": torch.ones(3_000_000)}, durable=True)
except OSError as error:
    print(error.strerror)
    assert error.filename == str(path)
assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1
"""


def test_a_full_disk_is_named_with_path_and_bytes_and_the_last_file_stays(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=4m tmpfs {tmp_path}"
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    if subprocess.run([*command, mount], capture_output=True).returncode:
        pytest.skip("this system does not allow a small disk of the test's own")
    run = f"{mount} && exec {sys.executable} -c '{FILL}' {tmp_path}"
    done = subprocess.run([*command, run], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("No space left on device: 12,000,000 bytes needed, 3,")


def test_a_checkpoint_is_synced_before_it_replaces_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order of the system calls: sync the new file, rename it, sync the folder."""
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        calls.append("sync folder" if path == tmp_path else f"sync {path.stat().st_size}")
        fsync(descriptor)

    def replaced(source: str, target: str) -> None:
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    path = tmp_path / "x.pt"
    save_torch(path, {"weights": torch.ones(1000)}, durable=True)
    assert calls == [f"sync {path.stat().st_size}", "rename", "sync folder"]
