"""Files of weights from elsewhere: parts of wrong types, and few bytes that ask for gigabytes."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from base.errors import InputError
from detr.model.detr import DETR
from detr.prediction.predictor import load_model
from detr.training.train import train
from detr.weights.files import read_torch
from detr.weights.init import read_initial_weights
from tests.detr.drawn import draw_set
from tests.detr.training.runs import CONFIG, FAST, run_config

WRONG = (None, -1, 10**30, float("nan"), "x", [1], {"a": 1}, [{}], {1: torch.zeros(1)})


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("run")
    train(draw_set(folder / "panoptic"), folder, run_config(FAST, epochs=1), "joint")
    return read_torch(folder / "checkpoints" / "joint.pt")


def refusal(values: dict[str, Any], path: Path) -> str:
    torch.save(values, path)
    messages = set()
    for load in (load_model, read_initial_weights):
        with pytest.raises(InputError) as error:
            load(path)
        messages.add(str(error.value))
    (message,) = messages
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


def test_initial_weights_must_fit_their_own_model(parts: dict[str, Any], tmp_path: Path) -> None:
    model = DETR(CONFIG, len(parts["classes"]), pretrained=False).state_dict()
    plain = {**parts, "stage": "boxes", "config": msgspec.to_builtins(CONFIG), "model": model}
    torch.save(plain, tmp_path / "x.pt")
    assert read_initial_weights(tmp_path / "x.pt").state.keys() == model.keys()
    assert "missing" in refusal({**plain, "model": {}}, tmp_path / "x.pt")
    flat = {**model, "query_embed.weight": torch.zeros(CONFIG.num_queries)}
    assert "of the wrong shape" in refusal({**plain, "model": flat}, tmp_path / "x.pt")


def test_parts_of_wrong_types_are_refused_in_one_line(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    small = {**parts, "model": {}, "unaveraged": {}, "optimizer": {}}  # quick to write
    for name in parts:
        refusal({n: v for n, v in small.items() if n != name}, tmp_path / "x.pt")
        for value in WRONG:
            refusal({**small, name: value}, tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("num_queries", 10**9),
        ("hidden_dim", 8192),
        ("dec_layers", 100),
        ("max_size", 10**6),
    ],
)
def test_settings_that_ask_for_gigabytes_are_refused(
    parts: dict[str, Any], tmp_path: Path, setting: str, value: int
) -> None:
    message = refusal({**parts, "config": {**parts["config"], setting: value}}, tmp_path / "x.pt")
    assert f"{setting}: expected at most" in message or "weights do not fit the model" in message


def test_a_tensor_that_repeats_one_value_is_refused(parts: dict[str, Any], tmp_path: Path) -> None:
    """It has the wanted shape, and a storage of four bytes."""
    huge = torch.zeros(1).expand(10**6, 10**6)
    for name in ("model", "unaveraged"):
        message = refusal({**parts, name: {**parts[name], "huge": huge}}, tmp_path / "x.pt")
        assert "repeats its values" in message


def _compressed(path: Path) -> None:
    torch.save({"model": torch.zeros(10_000_000)}, path.with_suffix(".plain"))
    with (
        zipfile.ZipFile(path.with_suffix(".plain")) as plain,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file,
    ):
        for name in plain.namelist():
            file.writestr(name, plain.read(name))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_compressed, "expected uncompressed parts"),
        (os.mkfifo, "is not a regular file"),
        (lambda path: path.write_bytes(b"PK\3\4 and no more"), "is not a checkpoint"),
    ],
)
def test_other_kinds_of_files_are_refused(
    write: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.pt"
    write(path)
    with pytest.raises(InputError, match=message):
        load_model(path)
