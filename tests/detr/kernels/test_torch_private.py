"""Private names of torch and their public fallbacks give the same results."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.ops import FrozenBatchNorm2d

from detr.kernels import torch_private
from detr.kernels.conv_norm import conv_norm
from detr.kernels.torch_private import (
    can_fuse_convolutions,
    fused_flop_counts,
    has_avx512_bf16,
    is_compiler_error,
    lerp_all_,
    modification_count,
)


@pytest.fixture
def fresh_check() -> Iterator[None]:
    """Make the check of torch and the processor run again in the test and after it."""
    can_fuse_convolutions.cache_clear()
    yield
    can_fuse_convolutions.cache_clear()


@pytest.mark.parametrize("supported", [False, True])
@pytest.mark.parametrize("names", ["public", "private", "none"])
def test_bfloat16_support(monkeypatch: pytest.MonkeyPatch, supported: bool, names: str) -> None:
    for name in ("get_capabilities", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    if names == "public":
        capabilities = {"avx512_bf16": supported}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    if names == "private":
        monkeypatch.setattr(
            torch.cpu, "_is_avx512_bf16_supported", lambda: supported, raising=False
        )
    assert has_avx512_bf16() == (supported and names != "none")


@pytest.mark.parametrize("private", [True, False])
def test_lerp_changes_all_averages(monkeypatch: pytest.MonkeyPatch, private: bool) -> None:
    if not private:
        monkeypatch.delattr(torch, "_foreach_lerp_")
    averages = [torch.tensor([0.0, 4.0]), torch.tensor(8.0)]
    lerp_all_(averages, [torch.tensor([4.0, 0.0]), torch.tensor(0.0)], 0.25)
    assert [average.tolist() for average in averages] == [[1, 3], 6]


def test_each_in_place_change_is_counted() -> None:
    tensor = torch.zeros(2)
    before = modification_count(tensor)
    assert before is not None
    tensor.add_(1)
    assert modification_count(tensor) == before + 1
    with torch.inference_mode():
        assert modification_count(torch.zeros(2)) is None


def test_errors_of_torch_compile_are_recognised() -> None:
    def fails(graph: object, inputs: object) -> None:
        raise ValueError("no compiler")

    torch.compiler.reset()
    with pytest.raises(RuntimeError) as caught:
        torch.compile(lambda x: x + 1, backend=fails)(torch.ones(2))
    assert is_compiler_error(caught.value)
    assert not is_compiler_error(RuntimeError("something else"))


def test_convolutions_are_fused_on_processors_with_avx() -> None:
    with_avx = torch.backends.cpu.get_cpu_capability().startswith("AVX")
    assert can_fuse_convolutions(torch.float32) == with_avx


@pytest.mark.usefixtures("fresh_check")
def test_the_check_draws_no_random_numbers() -> None:
    """Otherwise, resumed training would draw other numbers than uninterrupted training."""
    before = torch.get_rng_state()
    can_fuse_convolutions(torch.float32)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.usefixtures("fresh_check")
@pytest.mark.parametrize("name", ["_FUSED", "_FUSED_ADDITION"])
def test_without_the_private_operations_layers_run_separately(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(torch_private, name, None)
    assert not can_fuse_convolutions(torch.float32)
    assert len(fused_flop_counts()) == 1
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(8, 8, 1, bias=False).requires_grad_(False), FrozenBatchNorm2d(8)
    x = torch.randn(1, 8, 4, 4)
    for addend in (None, x.clone()):
        expected = F.relu(norm(conv(x)) + (0 if addend is None else addend))
        found = conv_norm(x, conv, norm, addend=addend, activation="relu")
        assert torch.allclose(found, expected, atol=1e-5)
