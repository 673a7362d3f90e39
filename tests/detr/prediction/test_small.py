"""A small file predicts as its run does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from base.errors import InputError
from detr.data.padded import pad
from detr.model.fast.detr import FastDETR
from detr.prediction.predictor import load_model
from detr.prediction.small import write_small
from tests.detr.model.fast.models import fast_model, photo, save_run


@torch.no_grad()
def test_a_small_file_predicts_as_its_run(tmp_path: Path) -> None:
    model = fast_model()
    whole, small = save_run(tmp_path / "run", model), tmp_path / "small.pt"
    write_small(tmp_path / "run", small)
    assert small.stat().st_size < 0.6 * whole.stat().st_size
    loaded = load_model(small).model
    assert isinstance(loaded, FastDETR)
    for name, wanted in model.state_dict().items():
        found = loaded.state_dict()[name]
        assert found.dtype == wanted.dtype and torch.allclose(found, wanted, rtol=1e-3, atol=1e-6)
    pixels = [each(pad([photo(96, 128)])).pixels[0] for each in (model, loaded)]
    assert torch.allclose(*pixels, atol=0.05)


def test_a_run_without_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"joint.pt|masks.pt: missing"):
        write_small(tmp_path, tmp_path / "small.pt")
