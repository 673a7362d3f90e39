"""The parts of the model: position encoding, padding, published names, pretrained weights."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from detr.config import TrainConfig
from detr.data.padded import Padded, pad
from detr.model.backbone import build_backbone
from detr.model.detr import DETR
from detr.model.efficientnet import EfficientNetLite0, load_weights
from detr.model.position_encoding import PositionEmbeddingSine
from detr.model.segmentation import DETRsegm
from detr.model.transformer import Transformer
from tests.detr.random_weights import SMALL

EFFICIENTNET = replace(SMALL, backbone="efficientnet_lite0")


def test_position_encoding_of_the_second_row_of_four() -> None:
    """Row 2 of 4 is halfway to 2 pi: sine and cosine of pi at the first frequency."""
    position = PositionEmbeddingSine(4)(torch.zeros(1, 4, 2, dtype=torch.bool))
    slow = math.pi / 10000 ** (2 / 4)
    expected = [math.sin(math.pi), math.cos(math.pi), math.sin(slow), math.cos(slow)]
    assert position.shape == (1, 8, 4, 2)
    assert position[0, :4, 1, 0].tolist() == pytest.approx(expected, abs=1e-5)
    assert position[0, 4:6, 0, 0].tolist() == pytest.approx([0, -1], abs=1e-5)  # column 1 of 2


def test_position_encoding_ignores_padding() -> None:
    small = PositionEmbeddingSine(8)(torch.zeros(1, 3, 5, dtype=torch.bool))
    padding = torch.ones(1, 6, 9, dtype=torch.bool)
    padding[:, :3, :5] = False
    assert torch.allclose(PositionEmbeddingSine(8)(padding)[..., :3, :5], small, atol=1e-6)


@pytest.mark.parametrize("pre_norm", [False, True])
def test_values_in_the_padding_have_no_effect(pre_norm: bool) -> None:
    torch.manual_seed(0)
    config = TrainConfig(hidden_dim=128, enc_layers=2, dec_layers=2, pre_norm=pre_norm)
    transformer = Transformer(config).eval()
    position = PositionEmbeddingSine(64)
    features, queries = torch.randn(1, 128, 3, 5), torch.randn(6, 128)
    alone = torch.zeros(1, 3, 5, dtype=torch.bool)
    padding = torch.ones(1, 6, 9, dtype=torch.bool)
    padding[:, :3, :5] = False
    larger = torch.randn(1, 128, 6, 9) * 10
    larger[..., :3, :5] = features
    states, memory = transformer(features, alone, queries, position(alone))
    padded_states, padded_memory = transformer(larger, padding, queries, position(padding))
    assert torch.allclose(states, padded_states, atol=1e-4)
    assert torch.allclose(memory, padded_memory[..., :3, :5], atol=1e-4)


def test_predictions_do_not_depend_on_other_photos_in_the_batch() -> None:
    torch.manual_seed(0)
    model = DETRsegm(DETR(EFFICIENTNET, 3, pretrained=False), EFFICIENTNET).eval()
    photo, other = torch.randn(3, 64, 96), torch.randn(3, 64, 96)
    padding = torch.zeros(1, 64, 96, dtype=torch.bool)
    padding[:, 48:] = True  # as if the photo had been padded from 48x96
    photo[:, 48:] = 0
    both = torch.cat([padding, torch.zeros_like(padding)])
    query = torch.arange(4)
    with torch.no_grad():
        alone = model.detr(Padded(photo[None], padding))
        beside = model.detr(Padded(torch.stack([photo, other]), both))
        masks = model.masks(alone, torch.zeros_like(query), query)
        masks_beside = model.masks(beside, torch.zeros_like(query), query)
    for a, b in zip(alone.layers, beside.layers, strict=True):
        assert torch.allclose(a.logits[0], b.logits[0], atol=1e-4)
        assert torch.allclose(a.cxcywh_norm[0], b.cxcywh_norm[0], atol=1e-4)
    assert torch.allclose(masks, masks_beside, atol=1e-3)


def test_masks_of_selected_queries_do_not_depend_on_the_others() -> None:
    torch.manual_seed(0)
    model = DETRsegm(DETR(EFFICIENTNET, 3, pretrained=False), EFFICIENTNET).eval()
    photo, query = torch.arange(2).repeat_interleave(4), torch.arange(4).repeat(2)
    with torch.no_grad():
        output = model.detr(pad([torch.randn(3, 64, 96), torch.randn(3, 64, 64)]))
        every = model.masks(output, photo, query)  # (8, 16, 24)
        some = model.masks(output, photo[[1, 6]], query[[1, 6]])
    assert every.shape == (8, 16, 24)
    assert torch.allclose(some, every[[1, 6]], atol=1e-4)


BOX_NAMES = {
    "backbone.0.body.conv1.weight": (64, 3, 7, 7),
    "backbone.0.body.bn1.running_var": (64,),
    "backbone.0.body.layer1.0.downsample.1.running_mean": (256,),
    "backbone.0.body.layer4.2.conv3.weight": (2048, 512, 1, 1),
    "input_proj.weight": (256, 2048, 1, 1),
    "query_embed.weight": (100, 256),
    "transformer.encoder.layers.0.self_attn.in_proj_weight": (768, 256),
    "transformer.encoder.layers.5.linear1.weight": (2048, 256),
    "transformer.encoder.layers.5.norm2.bias": (256,),
    "transformer.decoder.layers.5.multihead_attn.out_proj.weight": (256, 256),
    "transformer.decoder.layers.0.self_attn.in_proj_bias": (768,),
    "transformer.decoder.layers.3.norm3.weight": (256,),
    "transformer.decoder.norm.weight": (256,),
    "bbox_embed.layers.0.weight": (256, 256),
    "bbox_embed.layers.2.weight": (4, 256),
}
MASK_NAMES = {
    "bbox_attention.q_linear.weight": (256, 256),
    "bbox_attention.k_linear.bias": (256,),
    "mask_head.lay1.weight": (264, 264, 3, 3),
    "mask_head.gn1.weight": (264,),
    "mask_head.lay2.weight": (128, 264, 3, 3),
    "mask_head.lay3.weight": (64, 128, 3, 3),
    "mask_head.lay4.weight": (32, 64, 3, 3),
    "mask_head.lay5.weight": (16, 32, 3, 3),
    "mask_head.gn5.bias": (16,),
    "mask_head.out_lay.weight": (1, 16, 3, 3),
    "mask_head.adapter1.weight": (128, 1024, 1, 1),
    "mask_head.adapter2.weight": (64, 512, 1, 1),
    "mask_head.adapter3.weight": (32, 256, 1, 1),
}


def test_names_and_shapes_are_the_published_ones() -> None:
    config = TrainConfig()
    with torch.device("meta"):
        boxes = DETR(config, 91, pretrained=False)
        panoptic = DETRsegm(DETR(config, 250, pretrained=False), config)
    shapes = {name: tuple(value.shape) for name, value in boxes.state_dict().items()}
    assert {name: shapes.get(name) for name in BOX_NAMES} == BOX_NAMES
    assert shapes["class_embed.weight"] == (92, 256)
    # backbone: 53 convolutions, 4 of them for downsampling, and 53 norms with 4 tensors each
    assert sum(name.startswith("backbone.0.body.") for name in shapes) == 53 + 53 * 4
    assert sum(name.startswith("transformer.") for name in shapes) == 6 * 12 + 6 * 18 + 2
    assert len(shapes) == 53 + 53 * 4 + 6 * 12 + 6 * 18 + 2 + 2 + 1 + 2 + 6
    shapes = {name: tuple(value.shape) for name, value in panoptic.state_dict().items()}
    assert {name: shapes.get(name) for name in MASK_NAMES} == MASK_NAMES
    assert {f"detr.{name}" for name in BOX_NAMES} <= set(shapes)
    assert shapes["detr.class_embed.weight"] == (251, 256)
    heads = [n for n in shapes if n.startswith(("bbox_attention.", "mask_head."))]
    assert len(heads) == 4 + 5 * 4 + 2 + 3 * 2
    assert len(heads) + sum(n.startswith("detr.") for n in shapes) == len(shapes)


def test_pretrained_efficientnet_has_features_of_four_strides() -> None:
    body = EfficientNetLite0().eval()
    fresh = body._conv_stem.weight.clone()
    load_weights(body)
    assert not torch.equal(body._conv_stem.weight, fresh)
    with torch.no_grad():
        features = body(torch.zeros(1, 3, 96, 128))
    assert {name: tuple(value.shape[1:]) for name, value in features.items()} == {
        "0": (24, 24, 32),
        "1": (40, 12, 16),
        "2": (112, 6, 8),
        "3": (320, 3, 4),
    }
    dilated = EfficientNetLite0(dilation=True).eval()
    load_weights(dilated)
    with torch.no_grad():
        assert dilated(torch.zeros(1, 3, 96, 128))["3"].shape == (1, 320, 6, 8)


def test_layers_up_to_stride_4_are_frozen_or_all_layers_if_the_rate_is_0() -> None:
    def trained(name: str, rate: float) -> set[str]:
        config = TrainConfig(backbone=name, lr_backbone=rate)
        backbone = build_backbone(config, pretrained=False)
        return {n.split(".")[2] for n, p in backbone.named_parameters() if p.requires_grad}

    assert trained("resnet18", 1e-5) == {"layer2", "layer3", "layer4"}
    assert trained("resnet18", 0) == trained("efficientnet_lite0", 0) == set()
    assert trained("efficientnet_lite0", 1e-5) == {"_blocks"}


def test_without_queries_masks_are_empty_but_have_a_gradient() -> None:
    model = DETRsegm(DETR(EFFICIENTNET, 2, pretrained=False), EFFICIENTNET)
    output = model.detr(pad([torch.zeros(3, 64, 96)]))
    none = torch.zeros(0, dtype=torch.int64)
    logits = model.masks(output, none, none)
    assert logits.shape == (0, 16, 24)
    torch.autograd.backward(logits.sum())
