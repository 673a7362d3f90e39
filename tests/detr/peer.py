"""The DETR of `transformers` with random weights, and those weights under the published names."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DetrConfig, DetrForObjectDetection, DetrForSegmentation

from detr.config import TrainConfig
from detr.data.padded import Padded

Peer = DetrForObjectDetection | DetrForSegmentation
QUERY_KEY_VALUE = ("q_proj", "k_proj", "v_proj")
NAMES = (  # patterns of their names, and the published replacements
    (r"^detr\.(?=model|class|bbox)", ""),
    (r"^model\.backbone\.model\.", "backbone.0.body."),
    (r"^model\.position_embedding\.row_embeddings\.", "backbone.1.row_embed."),
    (r"^model\.position_embedding\.column_embeddings\.", "backbone.1.col_embed."),
    (r"^model\.query_position_embeddings\.", "query_embed."),
    (r"^model\.input_projection\.", "input_proj."),
    (r"^model\.(encoder|decoder)\.", r"transformer.\1."),
    (r"\.decoder\.layernorm\.", ".decoder.norm."),
    (r"\.encoder_attn\.", ".multihead_attn."),
    (r"\.o_proj\.", ".out_proj."),
    (r"\.mlp\.fc", ".linear"),
    (r"\.self_attn_layer_norm\.", ".norm1."),
    (r"(\.encoder\..*)\.final_layer_norm\.", r"\1.norm2."),
    (r"\.encoder_attn_layer_norm\.", ".norm2."),
    (r"(\.decoder\..*)\.final_layer_norm\.", r"\1.norm3."),
    (r"^class_labels_classifier\.", "class_embed."),
    (r"^bbox_predictor\.", "bbox_embed."),
    (r"^bbox_attention\.([qk])_proj\.", r"bbox_attention.\1_linear."),
    (r"^mask_head\.conv(\d)\.conv\.", r"mask_head.lay\1."),
    (r"^mask_head\.conv(\d)\.norm\.", r"mask_head.gn\1."),
    (r"^mask_head\.output_conv\.", "mask_head.out_lay."),
)


def peer_config(config: TrainConfig, classes: int, **changes: Any) -> DetrConfig:
    """Convert a configuration to theirs."""
    values: dict[str, Any] = {
        "backbone": config.backbone,
        "dilation": config.dilation,
        "d_model": config.hidden_dim,
        "num_queries": config.num_queries,
        "num_labels": classes,
        "position_embedding_type": config.position_embedding,
    }
    for part, layers in (("encoder", config.enc_layers), ("decoder", config.dec_layers)):
        values[f"{part}_layers"] = layers
        values[f"{part}_ffn_dim"] = config.dim_feedforward
        values[f"{part}_attention_heads"] = config.nheads
    return DetrConfig(**values, **changes)


def random_peer(config: TrainConfig, classes: int, *, masks: bool) -> Peer:
    """Build their model with random weights and random batch norm statistics."""
    torch.manual_seed(0)
    model: Peer = (DetrForSegmentation if masks else DetrForObjectDetection)(
        peer_config(config, classes)
    ).eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif value.dim() == 1:
                value.add_(torch.randn_like(value) * 0.1)
        trunk = model.detr if masks else model
        for last in (trunk.class_labels_classifier, trunk.bbox_predictor.layers[-1]):
            nn.init.normal_(last.weight, std=0.3)  # so that queries and photos differ
    return model


def published_state(peer: Peer) -> dict[str, Tensor]:
    """Return their weights by published names; a mask model names its box weights "detr...."."""
    theirs = dict(peer.state_dict())
    for name in [n for n in theirs if n.endswith(("_attn.q_proj.weight", "_attn.q_proj.bias"))]:
        parts = [theirs.pop(name.replace("q_proj", part)) for part in QUERY_KEY_VALUE]
        theirs[name.replace("q_proj.", "in_proj_")] = torch.cat(parts)
    masks = isinstance(peer, DetrForSegmentation)
    return {_published(name, masks=masks): value for name, value in theirs.items()}


def _published(name: str, *, masks: bool) -> str:
    stage = re.match(
        r"mask_head\.fpn_stages\.(\d)\.(fpn_adapter|refine\.conv|refine\.norm)\.", name
    )
    if stage:
        kind = {"fpn_adapter": "adapter", "refine.conv": "lay", "refine.norm": "gn"}[stage[2]]
        number = int(stage[1]) + (1 if kind == "adapter" else 3)
        return f"mask_head.{kind}{number}.{name.rpartition('.')[2]}"
    ours = name
    for theirs, published in NAMES:
        ours = re.sub(theirs, published, ours)
    head = ours.startswith(("mask_head.", "bbox_attention."))
    return f"detr.{ours}" if masks and not head else ours


def peer_input(images: Padded) -> dict[str, Tensor]:
    """Convert a padded batch to theirs, in which the mask is 1 except in the padding."""
    return {"pixel_values": images.values, "pixel_mask": (~images.padding).long()}
