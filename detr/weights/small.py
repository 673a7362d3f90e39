"""Small files of weights: everything needed to predict, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from base.errors import InputError
from detr.weights.checkpoint import load_checkpoint, masks_path, save_checkpoint


def write_small(run: Path, out: Path) -> None:
    """Write the weights with which a run predicts, in half precision, as a checkpoint.

    Raises InputError if the run has no checkpoint with masks.
    """
    path = masks_path(run)
    if not path.exists():
        raise InputError(f"{path}: missing; train the masks stage of this run first")
    checkpoint = load_checkpoint(path)
    model = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in checkpoint.model.items()
    }
    save_checkpoint(out, replace(checkpoint, model=model, unaveraged={}, optimizer={}, history=[]))
