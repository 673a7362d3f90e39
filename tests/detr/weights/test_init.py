"""Own classes on weights of others: rows go by name, what fits is kept, nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from conversion.coco.categories import Category, coco_categories
from detr.data.classes import packed_classes
from detr.model.detr import DETR
from detr.model.segmentation import DETRsegm
from detr.weights.init import read_start, start_from
from tests.detr.random_weights import SMALL, save

ROAD = next(c for c in coco_categories() if c.name == "road")
CLASSES = packed_classes(
    [
        ROAD,
        Category(201, "Car", True, (0, 0, 0)),
        Category(202, "traffic-light", True, (0, 0, 0)),
        Category(203, "balcony fence", True, (0, 0, 0)),
    ]
)
CAR, TRAFFIC_LIGHT = 3, 10  # COCO's ids, which are the rows of published weights


def test_class_rows_go_by_name_and_the_rest_is_fresh(tmp_path: Path) -> None:
    start = read_start(save(tmp_path / "panoptic.pth", SMALL, 250, masks=True))
    model = DETR(SMALL, len(CLASSES), pretrained=False)
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    started = start_from(model, start, CLASSES)
    after, given = model.state_dict(), start.state
    for name in ("class_embed.weight", "class_embed.bias"):
        rows = [ROAD.id, CAR, TRAFFIC_LIGHT]
        assert torch.equal(after[name][:3], given[name][rows])
        assert torch.equal(after[name][3], fresh[name][3])  # COCO has no balcony fence
        assert torch.equal(after[name][-1], given[name][-1])  # no-object
    others = [name for name in after if not name.startswith("class_embed.")]
    assert all(torch.equal(after[name], given[name]) for name in others)
    assert started.classes == (
        ("road", "road"),
        ("Car", "car"),
        ("traffic-light", "traffic light"),
        ("balcony fence", ""),
    )
    told = "\n".join(started.lines())
    assert "class Car              from car" in told
    assert "class balcony fence    fresh" in told
    assert "mask_head" not in told


def test_boxes_have_no_stuff_to_start_from(tmp_path: Path) -> None:
    start = read_start(save(tmp_path / "boxes.pth", SMALL, 91, masks=False))
    started = start_from(DETR(SMALL, 4, pretrained=False), start, CLASSES)
    assert dict(started.classes) == {
        "road": "",
        "Car": "car",
        "traffic-light": "traffic light",
        "balcony fence": "",
    }


def test_classes_of_unknown_names_all_start_fresh(tmp_path: Path) -> None:
    start = read_start(save(tmp_path / "others.pth", SMALL, 20, masks=False))
    started = start_from(DETR(SMALL, 4, pretrained=False), start, CLASSES)
    assert {source for _, source in started.classes} == {""}


def test_another_model_keeps_what_fits(tmp_path: Path) -> None:
    start = read_start(save(tmp_path / "boxes.pth", SMALL, 91, masks=False))
    config = replace(SMALL, backbone="resnet34", num_queries=6, dec_layers=3)
    model = DETR(config, 4, pretrained=False)
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    parts = {part.name: part for part in start_from(model, start, CLASSES).parts}
    after = model.state_dict()
    assert torch.equal(after["query_embed.weight"][:4], start.state["query_embed.weight"])
    assert torch.equal(after["query_embed.weight"][4:], fresh["query_embed.weight"][4:])
    assert "4 of 6 queries" in parts["query_embed"].note
    body = [name for name in after if name.startswith("backbone.0.")]
    assert parts["backbone.0"].kept == 0 and all(torch.equal(after[n], fresh[n]) for n in body)
    assert 0 < parts["transformer.decoder"].kept < parts["transformer.decoder"].total
    assert parts["transformer.encoder"].kept == parts["transformer.encoder"].total


@pytest.mark.parametrize("trunk", [False, True])
def test_the_mask_head_can_start_alone(tmp_path: Path, trunk: bool) -> None:
    start = read_start(save(tmp_path / "panoptic.pth", SMALL, 250, masks=True))
    model = DETRsegm(DETR(SMALL, 4, pretrained=False), SMALL)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    started = start_from(model, start, CLASSES, trunk=trunk)
    after = model.state_dict()
    assert torch.equal(after["mask_head.lay1.weight"], start.state["mask_head.lay1.weight"])
    same = all(torch.equal(after[n], before[n]) for n in after if n.startswith("detr."))
    assert same is not trunk
    assert bool(started.classes) is trunk
