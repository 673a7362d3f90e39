"""Model, matching and losses equal those of DETR in `transformers`, to 1e-4 in float32."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn
from transformers.loss.loss_for_object_detection import (
    ForObjectDetectionLoss,
    ForSegmentationLoss,
    HungarianMatcher,
)

from detr.config import TrainConfig
from detr.data.padded import pad
from detr.data.targets import Target
from detr.losses.criterion import (
    Losses,
    box_losses,
    mask_losses,
    matched_queries,
    num_boxes,
    stack_masks,
)
from detr.losses.matcher import match, match_layers
from detr.model.detr import DETR, Output
from detr.model.segmentation import DETRsegm
from detr.model.transformer import Transformer
from detr.weights.published import Detector, Segmenter
from tests.detr.peer import peer_config, peer_input, published_state, random_peer
from tests.detr.random_weights import SMALL

CLASSES = 5
CONFIG = replace(SMALL, enc_layers=2, dec_layers=3, dim_feedforward=96, num_queries=9)
DC5 = replace(CONFIG, backbone="resnet50", dilation=True, enc_layers=1, dec_layers=1)
LEARNED = replace(CONFIG, position_embedding="learned")
SIZES = ((64, 96), (96, 64), (75, 83))  # the last one is not a multiple of a stride


def photos() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(3, *size, generator=generator) for size in SIZES]


def close(ours: Tensor, theirs: Tensor) -> bool:
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [CONFIG, DC5, LEARNED], ids=["small", "dc5", "learned"])
def test_detection_gives_the_same_logits_and_boxes(config: TrainConfig) -> None:
    peer = random_peer(config, CLASSES, masks=False)
    model = Detector(config, CLASSES, pretrained=False).eval()
    model.load_state_dict(published_state(peer), strict=True)
    with torch.no_grad():
        theirs, ours = peer(**peer_input(pad(photos()))), model(photos())
    assert close(ours["pred_logits"], theirs.logits)
    assert close(ours["pred_boxes"], theirs.pred_boxes)
    assert float(theirs.logits.std()) > 0.1 and float(theirs.pred_boxes.std()) > 0.01


@pytest.mark.parametrize("config", [CONFIG, DC5], ids=["small", "dc5"])
def test_segmentation_gives_the_same_masks(config: TrainConfig) -> None:
    peer = random_peer(config, CLASSES, masks=True)
    model = Segmenter(DETR(config, CLASSES, pretrained=False), config).eval()
    model.load_state_dict(published_state(peer), strict=True)
    with torch.no_grad():
        theirs, ours = peer(**peer_input(pad(photos()))), model(photos())
    assert ours["pred_masks"].shape == (3, config.num_queries, 24, 24)
    assert close(ours["pred_logits"], theirs.logits)
    assert close(ours["pred_boxes"], theirs.pred_boxes)
    assert close(ours["pred_masks"], theirs.pred_masks)
    assert float(theirs.pred_masks.std()) > 0.1


def test_gradients_are_the_same() -> None:
    """Folding batch norms into the convolutions does not change their gradients."""
    peer = random_peer(CONFIG, CLASSES, masks=False)
    model = Detector(CONFIG, CLASSES, pretrained=False).eval()
    model.load_state_dict(published_state(peer), strict=True)
    torch.autograd.backward(peer(**peer_input(pad(photos()))).logits.square().mean())
    torch.autograd.backward(model(photos())["pred_logits"].square().mean())
    theirs = {name: value.grad for name, value in peer.named_parameters()}
    for ours, name in (
        ("input_proj.weight", "model.input_projection.weight"),
        ("backbone.0.body.layer2.0.conv1.weight", "model.backbone.model.layer2.0.conv1.weight"),
        ("backbone.0.body.layer4.1.conv2.weight", "model.backbone.model.layer4.1.conv2.weight"),
    ):
        expected = theirs[name]
        found = model.get_parameter(ours).grad
        assert expected is not None and found is not None
        assert torch.allclose(found, expected, rtol=1e-3, atol=1e-6 + 1e-4 * expected.abs().max())
    assert all(p.grad is None for n, p in model.named_parameters() if ".layer1." in n)


@pytest.mark.parametrize("pre_norm", [False, True])
def test_pre_norm_and_post_norm_match_torchs_transformer(pre_norm: bool) -> None:
    """`transformers` has no pre-norm. torch's layers do not add positions, so they are 0 here."""
    torch.manual_seed(2)
    config = replace(CONFIG, pre_norm=pre_norm)
    model = Transformer(config).eval()
    shape = {"d_model": 128, "nhead": 8, "dim_feedforward": 96, "norm_first": pre_norm}
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(**shape),
        2,
        nn.LayerNorm(128) if pre_norm else None,
        enable_nested_tensor=False,
    ).eval()
    decoder = nn.TransformerDecoder(
        nn.TransformerDecoderLayer(**shape), 3, nn.LayerNorm(128)
    ).eval()
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.normal_(module.weight), nn.init.normal_(module.bias)
    encoder.load_state_dict(model.encoder.state_dict(), strict=True)
    decoder.load_state_dict(model.decoder.state_dict(), strict=True)
    features, padding = torch.randn(2, 128, 3, 4), torch.zeros(2, 3, 4, dtype=torch.bool)
    padding[1, 2] = True
    pos, query_embed = torch.zeros_like(features), torch.zeros(6, 128)
    mask = padding.flatten(1)
    with torch.no_grad():
        embeddings, memory = model(features, padding, query_embed, pos)
        tokens = features.flatten(2).permute(2, 0, 1)
        encoded = encoder(tokens, src_key_padding_mask=mask)
        decoded = decoder(torch.zeros(6, 2, 128), encoded, memory_key_padding_mask=mask)
    visible = ~mask.T
    assert close(memory.flatten(2).permute(2, 0, 1)[visible], encoded[visible])
    assert close(embeddings[-1], decoded.transpose(0, 1))


@dataclass(frozen=True)
class Case:
    """The number of segments in each photo."""

    counts: tuple[int, int, int]

    def targets(self) -> list[Target]:
        generator = torch.Generator().manual_seed(sum(self.counts))
        return [
            _target(count, size, generator) for count, size in zip(self.counts, SIZES, strict=True)
        ]


def _target(count: int, size: tuple[int, int], generator: torch.Generator) -> Target:
    centres = torch.rand(count, 2, generator=generator) * 0.6 + 0.2
    sizes = torch.rand(count, 2, generator=generator) * 0.35 + 0.02
    masks = torch.rand(count, *size, generator=generator) > 0.7
    labels = torch.randint(0, CLASSES, (count,), generator=generator)
    return Target(1, "a.jpg", size, labels, torch.cat([centres, sizes], dim=1), masks)


def peer_targets(targets: list[Target]) -> list[dict[str, Tensor]]:
    return [
        {"class_labels": t.labels, "boxes": t.cxcywh_norm, "masks": t.masks.float()}
        for t in targets
    ]


CASES = {
    "crowded, empty, single": Case((14, 0, 1)),
    "as many as queries": Case((9, 9, 9)),
    "some": Case((3, 5, 2)),
    "only one": Case((0, 0, 1)),
    "nothing at all": Case((0, 0, 0)),
}


@pytest.fixture(scope="module")
def outputs() -> tuple[DETRsegm, Output]:
    peer = random_peer(CONFIG, CLASSES, masks=True)
    model = DETRsegm(DETR(CONFIG, CLASSES, pretrained=False), CONFIG).eval()
    model.load_state_dict(published_state(peer), strict=True)
    with torch.no_grad():
        return model, model.detr(pad(photos()))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_matching_is_the_same_in_every_layer(outputs: tuple[DETRsegm, Output], case: Case) -> None:
    layers, targets = outputs[1].layers, case.targets()
    matcher = HungarianMatcher(class_cost=1, bbox_cost=5, giou_cost=2)
    all_matches = match_layers(layers, targets, CONFIG)
    for layer, ours in zip(layers, all_matches, strict=True):
        found = {"logits": layer.logits, "pred_boxes": layer.cxcywh_norm}
        theirs = matcher(found, peer_targets(targets))
        alone = match(layer, targets, CONFIG)
        for of_all, of_one, (queries, segments) in zip(ours, alone, theirs, strict=True):
            assert of_all.queries.tolist() == of_one.queries.tolist() == queries.tolist()
            assert of_all.segments.tolist() == of_one.segments.tolist() == segments.tolist()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_loss_has_the_same_value(outputs: tuple[DETRsegm, Output], case: Case) -> None:
    model, output = outputs
    targets = case.targets()
    ours = _our_losses(model, output, targets)
    total, theirs = _their_losses(model, output, targets)
    weights = {"bbox": CONFIG.bbox_loss_coef, "giou": CONFIG.giou_loss_coef}
    for name, value in theirs.items():
        if name.startswith("loss"):
            weight = weights.get(name.split("_")[1], 1)
            assert float(ours[name]) == pytest.approx(float(value) * weight, abs=1e-4), name
    assert float(ours["cardinality_error"]) == float(theirs["cardinality_error"])
    assert {name for name in ours if name.startswith("loss")} == {
        name for name in theirs if name.startswith("loss")
    }
    summed = sum(float(value) for name, value in ours.items() if name.startswith("loss"))
    assert summed == pytest.approx(float(total), rel=1e-4, abs=1e-4)


@torch.no_grad()
def _our_losses(model: DETRsegm, output: Output, targets: list[Target]) -> Losses:
    matches = match(output.layers[-1], targets, CONFIG)
    losses = box_losses(output, targets, matches, CONFIG)
    if num_boxes(targets) == 1 and not any(len(t.labels) for t in targets):
        return losses  # theirs cannot compute mask losses without segments
    photo, query = matched_queries(matches)
    logits, masks = model.masks(output, photo, query), stack_masks(targets, matches)
    return losses | mask_losses(logits, masks, num_boxes(targets), CONFIG)[1]


@torch.no_grad()
def _their_losses(
    model: DETRsegm, output: Output, targets: list[Target]
) -> tuple[Tensor, dict[str, Tensor]]:
    config = peer_config(CONFIG, CLASSES, auxiliary_loss=True)
    logits = torch.stack([layer.logits for layer in output.layers])
    boxes = torch.stack([layer.cxcywh_norm for layer in output.layers])
    labels, cpu = peer_targets(targets), torch.device("cpu")
    last = (logits[-1], labels, cpu, boxes[-1])
    if not any(len(t.labels) for t in targets):
        found = ForObjectDetectionLoss(*last, config, logits, boxes)
    else:
        masks = model.all_masks(output)
        found = ForSegmentationLoss(*last, masks, config, logits, boxes)
    return found[0], found[1]
