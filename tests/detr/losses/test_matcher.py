"""The matching, compared with an exhaustive search of all assignments."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch

from detr.config import TrainConfig
from detr.data.targets import Target
from detr.losses.matcher import match, match_cost
from detr.model.detr import LayerOutput

CONFIG = TrainConfig()


def target(labels: list[int], boxes: list[list[float]]) -> Target:
    return Target(
        1,
        "a.jpg",
        (8, 8),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.zeros(len(labels), 8, 8, dtype=torch.bool),
    )


def random_boxes(count: int) -> list[list[float]]:
    centres = torch.rand(count, 2) * 0.6 + 0.2
    return torch.cat([centres, torch.rand(count, 2) * 0.3 + 0.05], dim=1).tolist()


def lowest_total(cost: torch.Tensor) -> float:
    """Return the lowest total cost of all one-to-one assignments of the smaller side."""
    if cost.shape[0] < cost.shape[1]:
        cost = cost.T
    columns = range(cost.shape[1])
    return min(
        sum(float(cost[row, column]) for row, column in zip(rows, columns, strict=True))
        for rows in permutations(range(cost.shape[0]), len(columns))
    )


@pytest.mark.parametrize(("queries", "segments"), [(5, 3), (4, 4), (3, 5), (6, 1)])
def test_total_cost_is_the_lowest_of_all_assignments(queries: int, segments: int) -> None:
    torch.manual_seed(queries * 10 + segments)
    photos = [
        target(torch.randint(0, 4, (count,)).tolist(), random_boxes(count))
        for count in (segments, 2, segments)
    ]
    output = LayerOutput(torch.randn(3, queries, 5), torch.tensor([random_boxes(queries)] * 3))
    for index, found in enumerate(match(output, photos, CONFIG)):
        photo = photos[index]
        cost = match_cost(
            output.logits[index], output.cxcywh_norm[index], photo.labels, photo.cxcywh_norm, CONFIG
        )
        assert len(found.queries) == len(found.segments) == min(queries, len(photo.labels))
        assert len(set(found.queries.tolist())) == len(found.queries)
        assert len(set(found.segments.tolist())) == len(found.segments)
        total = float(cost[found.queries, found.segments].sum())
        assert total == pytest.approx(lowest_total(cost), abs=1e-4)


def test_cost_has_the_published_terms() -> None:
    """Probability 1/2, centre off by 0.1, IoU 1/3: -1/2 + 5 * 0.1 - 2 * 1/3."""
    cost = match_cost(
        torch.tensor([[0.0, 0.0]]),
        torch.tensor([[0.5, 0.5, 0.2, 0.2]]),
        torch.tensor([0]),
        torch.tensor([[0.6, 0.5, 0.2, 0.2]]),
        CONFIG,
    )
    assert float(cost[0, 0]) == pytest.approx(-0.5 + 5 * 0.1 - 2 / 3, abs=1e-5)


def test_photos_without_segments_have_no_matches() -> None:
    output = LayerOutput(torch.randn(2, 3, 4), torch.rand(2, 3, 4))
    for targets in ([target([], []), target([], [])], [target([], []), target([1], [[0.5] * 4])]):
        first, second = match(output, targets, CONFIG)
        assert len(first.queries) == len(first.segments) == 0
        assert len(second.queries) == len(targets[1].labels)


def test_nan_does_not_stop_the_matching() -> None:
    output = LayerOutput(torch.full((1, 3, 4), torch.nan), torch.rand(1, 3, 4))
    assert len(match(output, [target([1], [[0.5] * 4])], CONFIG)[0].queries) == 1
