"""Starting from other weights: class rows are copied by name, and all else if it fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from conversion.coco.categories import Category, coco_categories
from detr.data.classes import packed_classes
from detr.model.detr import DETR
from detr.model.segmentation import DETRsegm
from detr.weights.init import copy_weights, read_initial_weights
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


def test_class_rows_are_copied_by_name(tmp_path: Path) -> None:
    initial = read_initial_weights(save(tmp_path / "panoptic.pth", SMALL, 250, masks=True))
    model = DETR(SMALL, len(CLASSES), pretrained=False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = copy_weights(model, initial, CLASSES)
    after, given = model.state_dict(), initial.state
    for name in ("class_embed.weight", "class_embed.bias"):
        rows = [ROAD.id, CAR, TRAFFIC_LIGHT]
        assert torch.equal(after[name][:3], given[name][rows])
        assert torch.equal(after[name][3], before[name][3])  # COCO has no balcony fence
        assert torch.equal(after[name][-1], given[name][-1])  # no-object
    others = [name for name in after if not name.startswith("class_embed.")]
    assert all(torch.equal(after[name], given[name]) for name in others)
    assert report.classes == (
        ("road", "road"),
        ("Car", "car"),
        ("traffic-light", "traffic light"),
        ("balcony fence", ""),
    )
    text = "\n".join(report.lines())
    assert "class Car              copied from car" in text
    assert "class balcony fence    random" in text
    assert "mask_head" not in text


def test_boxes_have_no_stuff_to_copy_weights(tmp_path: Path) -> None:
    initial = read_initial_weights(save(tmp_path / "boxes.pth", SMALL, 91, masks=False))
    report = copy_weights(DETR(SMALL, 4, pretrained=False), initial, CLASSES)
    assert dict(report.classes) == {
        "road": "",
        "Car": "car",
        "traffic-light": "traffic light",
        "balcony fence": "",
    }


def test_without_class_names_no_class_is_copied(tmp_path: Path) -> None:
    initial = read_initial_weights(save(tmp_path / "others.pth", SMALL, 20, masks=False))
    report = copy_weights(DETR(SMALL, 4, pretrained=False), initial, CLASSES)
    assert {source for _, source in report.classes} == {""}


def test_what_fits_another_model_is_copied(tmp_path: Path) -> None:
    initial = read_initial_weights(save(tmp_path / "boxes.pth", SMALL, 91, masks=False))
    config = replace(SMALL, backbone="resnet34", num_queries=6, dec_layers=3)
    model = DETR(config, 4, pretrained=False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parts = {part.name: part for part in copy_weights(model, initial, CLASSES).parts}
    after = model.state_dict()
    assert torch.equal(after["query_embed.weight"][:4], initial.state["query_embed.weight"])
    assert torch.equal(after["query_embed.weight"][4:], before["query_embed.weight"][4:])
    assert "4 of 6 queries" in parts["query_embed"].note
    body = [name for name in after if name.startswith("backbone.0.")]
    assert parts["backbone.0"].copied == 0 and all(torch.equal(after[n], before[n]) for n in body)
    assert 0 < parts["transformer.decoder"].copied < parts["transformer.decoder"].total
    assert parts["transformer.encoder"].copied == parts["transformer.encoder"].total


@pytest.mark.parametrize("trunk", [False, True])
def test_the_mask_head_alone_can_be_copied(tmp_path: Path, trunk: bool) -> None:
    initial = read_initial_weights(save(tmp_path / "panoptic.pth", SMALL, 250, masks=True))
    model = DETRsegm(DETR(SMALL, 4, pretrained=False), SMALL)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = copy_weights(model, initial, CLASSES, trunk=trunk)
    after = model.state_dict()
    assert torch.equal(after["mask_head.lay1.weight"], initial.state["mask_head.lay1.weight"])
    same = all(torch.equal(after[n], before[n]) for n in after if n.startswith("detr."))
    assert same is not trunk
    assert bool(report.classes) is trunk
