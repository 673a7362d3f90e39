"""Reading batches, in this process or in workers."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from base.errors import InputError
from detr.data.loader import read_batches
from detr.data.padded import Padded
from detr.data.splits import read_splits
from detr.kernels.memory import explained_memory_errors
from tests.detr.drawn import draw_set
from tests.detr.training.runs import CONFIG


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_error_keeps_its_message(tmp_path: Path, num_workers: int) -> None:
    """Even if it contains a line break, or text that looks like the name of an exception."""
    folder = tmp_path / "InputError: odd\nname"
    panoptic = draw_set(folder, train=2, test=1)
    photo = sorted((panoptic / "train").iterdir())[1]
    photo.write_bytes(b"no photo")
    config = replace(CONFIG, num_workers=num_workers)
    read = read_batches(read_splits(panoptic).examples("train", config), [[0], [1]])
    assert next(read).targets[0].file_name == "photo1.png"
    with pytest.raises(InputError) as error:
        next(read)
    assert str(error.value).startswith(f"{photo}: cannot be read as a photo")


def test_a_killed_worker_ends_in_one_line_within_a_minute(tmp_path: Path) -> None:
    """At whatever moment: a worker that dies while it sends a batch breaks the connection first."""
    config = replace(CONFIG, num_workers=1)
    examples = read_splits(draw_set(tmp_path, train=2, test=1)).examples("train", config)
    others, start = multiprocessing.active_children(), time.monotonic()
    for moment in range(12):
        read = read_batches(examples, [[0]] * 1000)  # many more than are read ahead
        with (
            pytest.raises(InputError, match=r"data-loading process was killed.*num_workers, now 1"),
            explained_memory_errors(config),
        ):
            next(read)
            (worker,) = set(multiprocessing.active_children()) - set(others)
            time.sleep(moment * 3e-4)
            worker.kill()
            list(read)
    assert time.monotonic() - start < 60


def test_workers_read_the_same_batches_and_keep_the_random_state(tmp_path: Path) -> None:
    panoptic = draw_set(tmp_path / "panoptic", train=3, test=1)
    inputs = []
    for num_workers in (0, 2):
        config = replace(CONFIG, num_workers=num_workers)
        examples = replace(read_splits(panoptic).examples("train", config), epoch=1)
        torch.manual_seed(0)
        inputs.append([batch.inputs for batch in read_batches(examples, [[0, 1], [2]])])
        assert torch.initial_seed() == 0
        assert torch.equal(torch.rand(1), torch.rand(1, generator=torch.Generator().manual_seed(0)))
    for here, there in zip(*inputs, strict=True):
        assert isinstance(here, Padded) and isinstance(there, Padded)
        assert torch.equal(here.values, there.values) and torch.equal(here.padding, there.padding)
