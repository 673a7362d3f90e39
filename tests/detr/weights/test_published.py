"""Weights files: every published model loads strictly, and errors say what is wrong.

The published files are large; the test files have the same names and shapes, but random values.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from base.errors import InputError
from detr.config import TrainConfig
from detr.model.position_encoding import PositionEmbeddingLearned
from detr.weights.names import FILES
from detr.weights.published import Detector, Segmenter, load_published
from tests.detr.random_weights import SMALL, save


@pytest.mark.parametrize(
    ("backbone", "masks"), [("r50", False), ("r101", True)], ids=["boxes", "masks"]
)
def test_published_models_load_strictly_from_the_cache(
    backbone: str, masks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models with and without dilation have files with the same names and shapes."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    config = TrainConfig(backbone=backbone.replace("r", "resnet"))
    path = save(tmp_path / "saved.pth", config, 250 if masks else 91, masks=masks)
    saved = torch.load(path, weights_only=True)["model"]
    names = [n for n in FILES if backbone in n and n.endswith("-panoptic") == masks]
    assert len(names) == 2
    for name in names:
        (cache / FILES[name]).hardlink_to(path)
        model = load_published(name)
        assert isinstance(model, Segmenter if masks else Detector) and not model.training
        assert all(torch.equal(saved[key], value) for key, value in model.state_dict().items())
        assert len(saved) == len(model.state_dict()) + 1  # batch norm's counter
        trunk = model.detr if isinstance(model, Segmenter) else model
        with torch.no_grad():
            assert trunk.backbone[0].body(torch.zeros(1, 3, 64, 64))["3"].shape[-1] == (
                4 if "dc5" in name else 2
            )
        assert trunk.transformer.encoder.layers[0].self_attn.num_heads == 8


@pytest.mark.parametrize("masks", [False, True])
def test_photos_may_differ_in_size_and_outputs_have_published_names(
    tmp_path: Path, masks: bool
) -> None:
    model = load_published(save(tmp_path / "own.pth", SMALL, 5, masks=masks))
    for wrong in ([], torch.zeros(3, 64, 64), [torch.zeros(1, 64, 64)]):
        with pytest.raises(ValueError, match=r"expected a list of \(3, H, W\) tensors"):
            model(wrong)
    photos = [torch.randn(3, 64, 96), torch.randn(3, 96, 64)]
    with torch.no_grad():
        found = model(photos)
    shapes = {"pred_logits": (2, 4, 6), "pred_boxes": (2, 4, 4), "pred_masks": (2, 4, 24, 24)}
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        name: shape for name, shape in shapes.items() if masks or name != "pred_masks"
    }
    assert 0 <= float(found["pred_boxes"].min()) <= float(found["pred_boxes"].max()) <= 1
    with torch.enable_grad():  # computes all masks at once
        again = model(photos)
    assert all(torch.allclose(found[name], again[name], atol=1e-5) for name in found)


def test_everything_but_dilation_is_inferred_from_the_shapes(tmp_path: Path) -> None:
    config = TrainConfig(
        backbone="resnet34",
        hidden_dim=128,
        enc_layers=2,
        dec_layers=3,
        nheads=16,
        pre_norm=True,
        position_embedding="learned",
    )
    model = load_published(save(tmp_path / "own.pth", config, 3, masks=True))
    assert isinstance(model, Segmenter)
    assert len(model.detr.transformer.encoder.layers) == 2
    assert len(model.detr.transformer.decoder.layers) == 3
    assert model.detr.transformer.encoder.norm is not None
    assert model.detr.transformer.encoder.layers[1].self_attn.num_heads == 16
    assert isinstance(model.detr.backbone[1], PositionEmbeddingLearned)


@pytest.mark.parametrize(
    ("file", "option", "arguments", "dilated"),
    [
        ("own.pth", None, {}, False),
        ("own-DC5.pth", None, {}, True),
        ("own.pth", True, {}, True),
        ("own-dc5.pth", False, {}, False),
        ("checkpoint.pth", None, {"args": Namespace(dilation=True, nheads=16)}, True),
    ],
)
def test_dilation_comes_from_option_arguments_or_file_name(
    tmp_path: Path, file: str, option: bool | None, arguments: dict[str, Any], dilated: bool
) -> None:
    config = TrainConfig(backbone="resnet50", hidden_dim=128, enc_layers=1, dec_layers=1)
    path = save(tmp_path / file, config, 2, masks=False, **arguments)
    model = load_published(path, dilation=option)
    heads = model.transformer.decoder.layers[0].multihead_attn.num_heads
    assert heads == (16 if arguments else 8)
    size = model.backbone[0].body(torch.zeros(1, 3, 64, 64))["3"].shape[-1]
    assert size == (4 if dilated else 2)


def damaged(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Return a function that writes a state dict after applying `change`."""

    def write(path: Path) -> None:
        save(path, SMALL, 2, masks=False)
        torch.save(change(torch.load(path, weights_only=True)["model"]), path)

    return write


def without(state: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b"no weights"), "is not a checkpoint: expected a file"),
        (lambda path: path.write_bytes(b""), "is not a checkpoint: expected a file"),
        (lambda path: torch.save([1, 2], path), "expected a dict, found list"),
        (lambda path: torch.save({"model": 3}, path), "expected named tensors, found int"),
        (lambda path: torch.save({}, path), "found no tensors"),
        (lambda path: torch.save({"a": "b"}, path), "expected named tensors, found 'a': str"),
        (lambda path: torch.save({"fc.weight": torch.zeros(2, 2)}, path), "found fc.weight"),
        (damaged(lambda s: without(s, "class_embed.weight")), "class_embed.weight of 2 dimensions"),
        (damaged(lambda s: without(s, "class_embed.bias")), "1 missing: class_embed.bias"),
        (damaged(lambda s: s | {"extra": torch.zeros(1)}), "1 unknown: extra"),
        (
            damaged(lambda s: s | {"input_proj.bias": torch.zeros(3)}),
            r"input_proj.bias \(expected \(128,\), found \(3,\)\)",
        ),
        (damaged(lambda s: s | {"query_embed.weight": torch.zeros(4, 100)}), "multiples of 128"),
        (
            damaged(lambda s: {n: v for n, v in s.items() if "layer3" not in n}),
            "expected ResNet or EfficientNet-Lite0, found backbone.0.body.conv1.weight",
        ),
    ],
)
def test_files_without_a_detr_are_refused(
    tmp_path: Path, write: Callable[[Path], Any], message: str
) -> None:
    path = tmp_path / "bad.pth"
    write(path)
    with pytest.raises(InputError, match=message) as error:
        load_published(path)
    assert str(error.value).startswith(f"{path}: ")


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"model": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(InputError, match="is not a checkpoint") as error:
        load_published(tmp_path / "trap.pth")
    assert "weights_only" not in str(error.value)  # torch's advice would run the code
    assert not (tmp_path / "ran").exists()


def test_unknown_names_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is neither a file nor .*'detr-r50-dc5'"):
        load_published("detr-r50dc5")
    with pytest.raises(InputError, match="neither a file nor the name of published weights"):
        load_published(tmp_path / "missing.pth")
    with pytest.raises(InputError, match=r"expected a weights file.*masks\.pt, found a folder"):
        load_published(tmp_path)


def test_without_a_network_the_error_says_where_to_place_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("detr.weights.published.ADDRESS", "http://127.0.0.1:9/")
    with pytest.raises(InputError, match=r"checkpoints/detr-r50-e632da11\.pth: missing.*place it"):
        load_published("detr-r50")


def test_a_file_that_was_never_published_is_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    message = (
        r"checkpoints/detr-r101-dc5-panoptic.pth: missing; .* never published .*detr-r101-panop"
    )
    with pytest.raises(InputError, match=message):
        load_published("detr-r101-dc5-panoptic")


def test_learned_positions_are_limited_to_50_rows_and_columns() -> None:
    learned = PositionEmbeddingLearned(4)
    assert learned(torch.zeros(2, 50, 3, dtype=torch.bool)).shape == (2, 8, 50, 3)
    with pytest.raises(InputError, match=r"50 rows and columns.*51x3.*at most 1600.*sine"):
        learned(torch.zeros(2, 51, 3, dtype=torch.bool))
