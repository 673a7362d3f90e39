"""FastDETR: shapes, photos of all sizes, and independence of other photos and padding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from detr.data.kinds import Kinds
from detr.data.padded import Padded, pad
from detr.model.fast.detr import FastDETR
from detr.model.fast.output import FastOutput
from tests.detr.model.fast.models import KINDS, fast_model, photo

SIZES = [(64, 96), (50, 70), (33, 40), (96, 64)]
ONLY_THINGS, ONLY_STUFF = Kinds(things=(0,), stuff=()), Kinds(things=(), stuff=(0, 1))


def of_photo(output: FastOutput, index: int) -> list[Tensor]:
    """Return all predictions for one photo, without those of padding."""
    count, padded = output.num_queries[index], output.layers[0].logits.shape[1]
    found = [output.pixels[index], *(x[index] for x in output.semantic[:0])]
    for layer in output.layers:
        found += [layer.logits[index, :count], layer.presence[index]]
        for each in (layer.cxcywh_norm[index], layer.mask_embeddings[index]):
            found += [each[:count], each[padded:]]
    return found


def assert_same(first: FastOutput, index: int, second: FastOutput) -> None:
    pairs = list(zip(of_photo(first, index), of_photo(second, 0), strict=True))
    for one, other in pairs:
        assert one.shape == other.shape
        assert torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("deformable", [True, False])
@torch.no_grad()
def test_shapes(deformable: bool) -> None:
    """A 50x70 photo is computed as 64x96; it has 9 * 7 + 5 * 4 + 3 * 2 locations."""
    model = fast_model(deformable=deformable).train()
    output = model(pad([photo(50, 70), photo(64, 96)]))
    assert output.sizes == ((50, 70), (64, 96))
    assert [tuple(x.shape) for x in output.pixels] == [(64, 16, 24)] * 2
    assert [tuple(x.shape) for x in output.semantic] == [(5, 16, 24)] * 2
    assert output.dense is not None
    assert output.dense.logits.shape == (2, 12 * 8 + 6 * 4 + 3 * 2, 2)
    assert (~output.dense.padding_mask).sum(1).tolist() == [9 * 7 + 5 * 4 + 3 * 2, 126]
    assert len(output.layers) == 2
    for layer in output.layers:
        assert layer.logits.shape == (2, 24, 2)
        assert layer.cxcywh_norm.shape == (2, 24 + 3, 4)
        assert layer.mask_embeddings.shape == (2, 24 + 3, 64 + 1)
        assert layer.presence.shape == (2, 3)
        assert layer.cxcywh_norm[:, 24:].eq(torch.tensor([0.5, 0.5, 1, 1])).all()
    assert not model.eval()(pad([photo(50, 70)])).semantic


@pytest.mark.parametrize("deformable", [True, False])
@pytest.mark.parametrize("kinds", [KINDS, ONLY_THINGS, ONLY_STUFF])
@torch.no_grad()
def test_a_photo_is_predicted_the_same_alone_and_in_any_batch(
    kinds: Kinds, deformable: bool
) -> None:
    model = fast_model(kinds, deformable=deformable)
    photos = [photo(*size) for size in SIZES]
    together = model(pad(photos))
    for index, one in enumerate(photos):
        assert_same(together, index, model(pad([one])))


@torch.no_grad()
def test_padding_does_not_affect_predictions() -> None:
    model, own = fast_model(), photo(50, 70)
    values, padding = torch.full((1, 3, 150, 130), 9.0), torch.ones(1, 150, 130, dtype=torch.bool)
    values[0, :, :50, :70], padding[0, :50, :70] = own, False
    assert_same(model(Padded(values, padding)), 0, model(pad([own])))


@torch.no_grad()
def test_photos_with_fewer_locations_than_queries_have_fewer_queries() -> None:
    """32x32 pixels have 16 + 4 + 1 locations; in a batch with a large photo, queries are padded."""
    model = fast_model(num_queries=60)
    together = model(pad([photo(32, 32), photo(96, 64)]))
    assert together.num_queries == (21, 60)
    assert_same(together, 0, model(pad([photo(32, 32)])))


@pytest.mark.parametrize("kinds", [ONLY_THINGS, ONLY_STUFF])
def test_every_trained_parameter_has_a_gradient_without_one_of_the_kinds(kinds: Kinds) -> None:
    model = fast_model(kinds).train()
    output = model(pad([photo(64, 64)]))
    every = [x.float().sum() for x in (*output.pixels, *output.semantic)]
    for layer in output.layers:
        every += [layer.logits.sum(), layer.presence.sum(), layer.mask_embeddings.sum()]
        every.append((layer.cxcywh_norm**2).sum())
    if output.dense is not None:
        first = torch.zeros(1, dtype=torch.int64)
        boxes, embeddings = output.dense.learn_at(first, first)
        every += [output.dense.logits.sum(), (boxes**2).sum(), embeddings.sum()]
    torch.autograd.backward(torch.stack(every).sum())
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert trained and all(p.grad is not None for p in trained.values())


def test_the_backbone_is_trained_beyond_stride_8_only() -> None:
    """Blocks 0 to 4 end at stride 8."""
    names = [n for n, p in fast_model().backbone.named_parameters() if p.requires_grad]
    assert {int(name.split(".")[3]) for name in names} == set(range(5, 16))
    frozen = fast_model(lr_backbone=0)
    assert not any(p.requires_grad for p in frozen.backbone.parameters())


def test_rows_of_categories_are_named() -> None:
    model = fast_model()
    rows, sizes = model.category_rows(), {n: len(p) for n, p in model.named_parameters()}
    assert rows["dense.class_embed.weight"] == rows["decoder.class_embed.1.bias"] == (0, 2)
    assert rows["stuff_embed.weight"] == rows["decoder.presence_embed.weight"] == (1, 3, 4)
    assert rows["semantic_embed.weight"] == (0, 2, 1, 3, 4)
    assert all(len(classes) == sizes[name] for name, classes in rows.items())
    others = FastDETR(model.config, Kinds((0,), (1,)), pretrained=False).named_parameters()
    changed = {name for name, value in others if len(value) != sizes[name]}
    assert changed == rows.keys()


def test_names_of_modules_do_not_change() -> None:
    """Checkpoints are loaded by these names."""
    names = {name.rpartition(".")[0] for name in fast_model(dec_layers=1).state_dict()}
    wanted = """
        pyramid.lateral.{0,1,2}.{conv,norm} pyramid.lateral_pixels.{conv,norm}
        pyramid.encoder.layers.0.{self_attn,self_attn.out_proj,linear1,linear2,norm1,norm2}
        pyramid.{top_down,downsample,bottom_up}.{0,1}.{depthwise,conv,norm}
        pyramid.to_pixels.{conv,norm} pyramid.{pixel_depthwise,pixel_norm,pixel_embed}
        semantic_embed stuff_embed
        dense.{enter,norm,class_embed} dense.bbox_embed.layers.{0,1,2}
        decoder.layers.0.{self_attn,self_attn.out_proj,linear1,linear2,norm1,norm2,norm3}
        decoder.layers.0.cross_attn.{sampling_offsets,attention_weights,output_proj}
        decoder.memory.value_proj
        decoder.query_pos_head.layers.{0,1} decoder.mask_embed.layers.{0,1,2}
        decoder.presence_embed decoder.class_embed.0 decoder.bbox_embed.0.layers.{0,1,2}
    """
    expected = {name for pattern in wanted.split() for name in expand(pattern)}
    assert {name for name in names if not name.startswith("backbone.")} == expected
    assert "backbone.0.body._blocks.15._bn2" in names  # as in the published variant


def expand(pattern: str) -> list[str]:
    """Expand a.{b,c} to a.b and a.c."""
    start, _, rest = pattern.partition("{")
    if not rest:
        return [start]
    choices, _, end = rest.partition("}")
    return [start + choice + tail for choice in choices.split(",") for tail in expand(end)]
