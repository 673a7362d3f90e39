"""Initialising from other weights: class rows are copied by name, other tensors if they fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from conversion.coco.categories import Category, coco_categories
from detr.data.classes import packed_classes
from detr.data.kinds import Kinds, kinds_of
from detr.model.detr import DETR
from detr.model.fast.detr import FastDETR
from detr.model.segmentation import DETRsegm
from detr.weights.init import copy_weights, read_initial_weights
from tests.detr.model.fast.models import fast_model, save_run, small_config
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


def test_box_weights_have_no_stuff_classes_to_copy(tmp_path: Path) -> None:
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


def test_tensors_that_fit_another_model_are_copied(tmp_path: Path) -> None:
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


def test_a_fast_model_starts_from_one_with_other_classes(tmp_path: Path) -> None:
    """The box and the sky are there again; the ball is new as stuff, and so is the tree."""
    initial = read_initial_weights(save_run(tmp_path / "run", fast_model()))
    names = (("Box", True), ("ball", False), ("tree", True), ("Sky", False))
    classes = packed_classes(
        [Category(index, name, isthing, (0, 0, 0)) for index, (name, isthing) in enumerate(names)]
    )
    model = FastDETR(small_config(), kinds_of(classes), pretrained=False)
    assert model.kinds == Kinds(things=(0, 2), stuff=(1, 3))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = copy_weights(model, initial, classes)
    after, given = model.state_dict(), initial.state
    assert report.has_backbone
    # rows of ball and box, and of sky, grass and road, were given
    for name in ("dense.class_embed.weight", "decoder.class_embed.1.bias"):
        assert torch.equal(after[name][0], given[name][1])
        assert torch.equal(after[name][1], before[name][1])
    for name in ("stuff_embed.weight", "decoder.presence_embed.bias"):
        assert torch.equal(after[name][1], given[name][0])
        assert torch.equal(after[name][0], before[name][0])
    semantic = "semantic_embed.weight"  # of box, tree, ball and sky from ball, box, sky, ...
    assert torch.equal(after[semantic][[0, 2, 3]], given[semantic][[1, 0, 2]])
    assert torch.equal(after[semantic][1], before[semantic][1])
    others = [name for name in after if name not in model.category_rows()]
    assert all(torch.equal(after[name], given[name]) for name in others)
    text = "\n".join(report.lines())
    assert "class Box              copied from box" in text
    assert "class tree             random" in text
    assert "semantic_embed         see the classes below" in text


@pytest.mark.parametrize("to_fast", [True, False])
def test_between_the_variants_only_the_backbone_is_copied(tmp_path: Path, to_fast: bool) -> None:
    config = replace(SMALL, backbone="resnet18")
    fast = FastDETR(small_config(backbone="resnet18"), kinds_of(CLASSES), pretrained=False)
    model: DETR | FastDETR = fast
    if to_fast:
        path = save(tmp_path / "boxes.pth", config, 91, masks=False)
    else:
        path = save_run(tmp_path / "run", fast, CLASSES)
        model = DETR(config, len(CLASSES), pretrained=False)
    initial = read_initial_weights(path)
    report = copy_weights(model, initial, CLASSES)
    assert report.has_backbone and {source for _, source in report.classes} == {""}
    assert {part.name for part in report.parts if part.copied} == {"backbone.0"}
    body = {n: v for n, v in model.state_dict().items() if n.startswith("backbone.0.")}
    assert body and all(torch.equal(value, initial.state[name]) for name, value in body.items())
