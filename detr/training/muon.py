"""Muon for hidden weight matrices, AdamW for all other parameters, as one optimiser.

Muon (Jordan et al., 2024) makes the momentum of a matrix orthogonal before it is applied, so that
all directions are learned at the same rate. Updates are scaled to the size of AdamW's (Liu et al.,
"Muon is Scalable for LLM Training", 2025). torch's own Muon takes matrices one by one, which takes
twice as long on a CPU, and neither pointwise convolutions nor packed attention projections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn

# parameters that AdamW trains although they are matrices: outputs, whose rows are categories, and
# the layers of deformable attention that start as zeros
NOT_HIDDEN = (
    *("class_embed", "presence_embed", "semantic_embed", "stuff_embed"),
    *("sampling_offsets", "attention_weights", "backbone.0."),
)
MOMENTUM, LEAST_SIDE = 0.95, 16
ITERATIONS = 3  # 5 are usual, but did not lower the losses
COEFFICIENTS = (3.4445, -4.775, 2.0315)  # of the Newton-Schulz iteration, from Jordan et al.
SCALE = 0.2  # root mean square of AdamW's updates


def is_hidden_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Return whether Muon trains a parameter: a matrix or pointwise convolution between layers."""
    is_matrix = parameter.dim() == 2 or (parameter.dim() == 4 and parameter.shape[2:] == (1, 1))
    hidden = not any(part in name for part in NOT_HIDDEN)
    return is_matrix and hidden and min(parameter.shape[:2]) >= LEAST_SIDE


class MuonAdamW(torch.optim.AdamW):
    """AdamW that trains the parameter groups with `muon: True` by Muon."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Apply one step to all groups; `closure` is not supported."""
        assert closure is None
        groups = self.param_groups
        self.param_groups = [group for group in groups if not group["muon"]]
        try:
            super().step()
        finally:
            self.param_groups = groups
        for group in groups:
            if group["muon"]:
                self._muon_step(group)

    def _muon_step(self, group: dict[str, Any]) -> None:
        """Update all matrices of a group."""
        found: list[tuple[nn.Parameter, Tensor]] = []  # matrices (n, m), n <= m
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(parameter)
            momentum = state["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
            direction = parameter.grad.lerp(momentum, MOMENTUM).flatten(1)
            for matrix in _matrices(direction):
                transposed = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
                found.append((parameter, transposed))
        updates: dict[nn.Parameter, list[Tensor]] = {}
        orthogonal = orthogonalise_all([matrix for _, matrix in found])
        for (parameter, _), matrix in zip(found, orthogonal, strict=True):
            updates.setdefault(parameter, []).append(matrix * SCALE * matrix.shape[1] ** 0.5)
        for parameter, parts in updates.items():
            is_tall = parameter.shape[0] // len(parts) > parameter.shape[1]
            update = torch.cat([part.T if is_tall else part for part in parts])
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update.view_as(parameter), alpha=-group["lr"])


def _matrices(direction: Tensor) -> tuple[Tensor, ...]:
    """Separate query, key and value projections (3D, D), which attention layers pack into one."""
    rows, columns = direction.shape
    return direction.chunk(3) if rows == 3 * columns else (direction,)


def orthogonalise_all(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Apply `orthogonalise` to matrices (n, m), n <= m, together where they have the same shape.

    Processes that train together hold the same matrices, so each computes a part of them.
    """
    if not matrices:
        return []
    is_shared = distributed.is_available() and distributed.is_initialized()
    rank, world = (distributed.get_rank(), distributed.get_world_size()) if is_shared else (0, 1)
    flat = matrices[0].new_zeros(sum(matrix.numel() for matrix in matrices))
    parts = torch.split(flat, [matrix.numel() for matrix in matrices])
    results = [part.view(matrix.shape) for part, matrix in zip(parts, matrices, strict=True)]
    by_shape: dict[torch.Size, list[int]] = {}
    for number in range(rank, len(matrices), world):
        by_shape.setdefault(matrices[number].shape, []).append(number)
    for numbers in by_shape.values():
        orthogonal = orthogonalise(torch.stack([matrices[number] for number in numbers]))
        for number, result in zip(numbers, orthogonal, strict=True):
            results[number].copy_(result)
    if world > 1:
        distributed.all_reduce(flat)  # the parts of the other processes are zero here
    return results


def orthogonalise(matrices: Tensor) -> Tensor:
    """Return approximately the nearest semi-orthogonal matrices to (K, n, m), n <= m.

    The iteration uses the products X @ X.T (K, n, n), which are smaller than X.
    """
    a, b, c = COEFFICIENTS
    norm = matrices.norm(dim=(1, 2), keepdim=True) + 1e-7
    gram = torch.bmm(matrices, matrices.mT) / norm**2
    factor: Tensor = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device).expand_as(gram)
    for number in range(ITERATIONS):
        step = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        step.diagonal(dim1=1, dim2=2).add_(a)
        factor = torch.bmm(step, factor) if number else step
        if number < ITERATIONS - 1:
            gram = torch.bmm(torch.bmm(step, gram), step)  # `step` is symmetric
    result: Tensor = torch.bmm(factor, matrices) / norm
    return result
