"""Small files of weights: everything needed to predict, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from detr.prediction.predictor import find_model_file
from detr.weights.checkpoint import load_checkpoint, save_checkpoint


def write_small(run: Path, out: Path) -> None:
    """Write the weights with which a run predicts, in half precision, as a checkpoint.

    Raises InputError if the run has no checkpoint with masks.
    """
    checkpoint = load_checkpoint(find_model_file(run))
    model = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in checkpoint.model.items()
    }
    save_checkpoint(out, replace(checkpoint, model=model, unaveraged={}, optimizer={}, history=[]))
