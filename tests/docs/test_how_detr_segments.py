"""docs/how-detr-segments.md: its shapes are those of the models, and linked lines are as quoted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from detr.config import TrainConfig
from detr.data.kinds import Kinds
from detr.data.padded import pad
from detr.model.detr import DETR
from detr.model.fast.detr import FastDETR
from detr.model.fast.masks import mask_logits
from detr.model.segmentation import DETRsegm
from tests.detr.configs import fast_config

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/how-detr-segments.md"
DIAGRAMS = re.findall(r"```mermaid\n(.*?)```", PAGE.read_text(), re.DOTALL)
LINKS = re.findall(r"\[`([^`]+)`\]\(\.\./([\w/.]+\.py)#L(\d+)\)", PAGE.read_text())
HEIGHT, WIDTH = 128, 192
Shape = tuple[int, ...]


def labels(diagram: str) -> set[tuple[str, str]]:
    """The names and shapes at the arrows of a diagram."""
    found = re.findall(r'-- "([^":]+): ([^"]+)" -->', diagram)
    assert len(found) == diagram.count("-->"), "an arrow without a shape"
    return set(found)


def shape(text: str, sizes: dict[str, int]) -> Shape:
    """The shape that a label such as "N × (d + M) × H/32" stands for."""
    factors = [part.strip().replace("·", "*").replace("/", "//") for part in text.split("×")]
    return tuple(int(eval(factor, {"__builtins__": {}}, sizes)) for factor in factors)


def squeezed(found: Shape) -> Shape:
    """A shape without the batch of one photo, as the diagram of the mask head shows it."""
    return found[1:] if found[0] == 1 else found


@contextmanager
def recorded(modules: dict[str, nn.Module]) -> Iterator[dict[str, Any]]:
    """Record all inputs ("name<") and the output (">name") of modules by name."""
    seen: dict[str, Any] = {}

    def hook(name: str) -> Any:
        def record(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            seen[f"{name}<"], seen[f">{name}"] = inputs, output

        return record

    handles = [module.register_forward_hook(hook(name)) for name, module in modules.items()]
    yield seen
    for handle in handles:
        handle.remove()


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """The tensors of the published model (with fewer layers), for one photo, by name."""
    config = TrainConfig(enc_layers=1, dec_layers=1, precision="float32")
    model = DETRsegm(DETR(config, 250, pretrained=False), config).eval()
    photo = torch.randn(1, 3, HEIGHT, WIDTH)
    head, attention = model.mask_head, model.bbox_attention
    names = ("lay3", "lay4", "lay5", "adapter1", "adapter2", "adapter3")
    convolutions = {name: getattr(head, name) for name in names}
    norms = {f"gn{n}": getattr(head, f"gn{n}") for n in range(1, 6)}
    parts = {"q": attention.q_linear, "k": attention.k_linear, "attention": attention}
    modules = {**convolutions, **norms, **parts, "position": model.detr.backbone[1]}
    with torch.no_grad(), recorded(modules) as seen:
        output = model.detr(pad([photo[0]]))
        masks = _all_masks(model, output)
    queries, heads = config.num_queries, config.nheads
    both = torch.cat([output.projected.values.expand(queries, -1, -1, -1), seen[">attention"]], 1)
    assert torch.allclose(head.lay1(both), seen["gn1<"][0], atol=1e-3)  # what _first_layer computes
    assert torch.allclose(seen[">attention"].sum((1, 2, 3)), torch.ones(queries))
    levels = {f"Res{n}": level.values for n, level in enumerate(output.features, start=2)}
    return {
        "photo": photo,
        **levels,
        "positions": seen[">position"],
        "projected": output.projected.values,
        "memory": output.memory,
        "query embeddings": model.detr.query_embed.weight,
        "box embeddings": output.embeddings,
        "class logits": output.layers[-1].logits,
        "boxes": output.layers[-1].cxcywh_norm,
        "queries": seen[">q"].unflatten(1, (heads, -1)),
        "keys": seen[">k"].unflatten(2, (heads, -1)),
        "maps": seen[">attention"],
        "concatenated": both,
        **{f"after lay{n}": seen[f">gn{n}"] for n in range(1, 6)},
        **{f"adapted Res{5 - n}": seen[f">adapter{n}"] for n in (1, 2, 3)},
        **{f"with Res{7 - n}": seen[f"lay{n}<"][0] for n in (3, 4, 5)},
        "mask logits": masks[None],
    }


def _all_masks(model: DETRsegm, output: Any) -> Tensor:
    """The masks of all queries in one call, which the hooks then see."""
    embeddings = output.embeddings[0]
    photo = torch.zeros(len(embeddings), dtype=torch.int64)
    return model.masks_of_embeddings(output, embeddings, photo)


@pytest.fixture(scope="module")
def fast() -> dict[str, Tensor]:
    """The tensors of the fast variant for one photo, by name."""
    kinds = Kinds(things=(0, 1, 2, 3, 4), stuff=(5, 6, 7))
    model = FastDETR(fast_config(), kinds, pretrained=False).eval()
    photo = torch.randn(1, 3, HEIGHT, WIDTH)
    modules = {"backbone": model.backbone[0], "decoder": model.decoder}
    with torch.no_grad(), recorded(modules) as seen:
        output = model(pad([photo[0]]))
        last, pixels = output.layers[-1], output.pixels[0]
        masks = mask_logits(
            last.mask_embeddings[0], pixels, cxcywh_norm=last.cxcywh_norm[0], size=output.sizes[0]
        )
    assert output.dense is not None and model.stuff_embed is not None
    queries, places = seen["decoder<"]
    levels = {f"stride {4 * 2**n}": level.values for n, level in enumerate(seen[">backbone"])}
    return {
        "photo": photo,
        **levels,
        "tokens": places.tokens,
        "dense logits": output.dense.logits,
        "dense boxes": output.dense.cxcywh_norm,
        "thing queries": queries.content[:, :-3],  # the stuff queries follow
        "stuff queries": model.stuff_embed.weight,
        "class logits": last.logits,
        "presence": last.presence,
        "boxes": last.cxcywh_norm,
        "mask embeddings": last.mask_embeddings,
        "pixel embeddings": pixels,
        "mask logits": masks,
    }


@pytest.mark.parametrize("diagram", DIAGRAMS[:2], ids=["stages", "head"])
def test_the_shapes_are_those_of_the_published_model(
    diagram: str, published: dict[str, Tensor]
) -> None:
    sizes = {"B": 1, "H": HEIGHT, "W": WIDTH, "d": 256, "N": 100, "M": 8, "C": 250}
    for name, text in labels(diagram):
        expected = shape(text, sizes)
        assert squeezed(tuple(published[name].shape)) == squeezed(expected), (name, text)


def test_the_shapes_are_those_of_the_fast_variant(fast: dict[str, Tensor]) -> None:
    places = HEIGHT * WIDTH // 64 + HEIGHT * WIDTH // 256 + HEIGHT * WIDTH // 1024
    sizes = {"B": 1, "H": HEIGHT, "W": WIDTH, "d": 128, "E": 64, "Q": 40, "T": 5, "S": 3}
    found = labels(DIAGRAMS[2])
    assert {name for name, _ in found} == fast.keys()
    for name, text in found:
        assert tuple(fast[name].shape) == shape(text, {**sizes, "P": places}), (name, text)


def test_every_tensor_of_the_published_model_is_in_a_diagram(published: dict[str, Tensor]) -> None:
    names = {name for diagram in DIAGRAMS[:2] for name, _ in labels(diagram)}
    assert names == published.keys()


def test_linked_lines_say_what_is_quoted() -> None:
    assert len(LINKS) > 25 and len(DIAGRAMS) == 3
    moved = []
    for quote, path, number in LINKS:
        lines = (ROOT / path).read_text().splitlines()
        if quote not in lines[int(number) - 1]:
            now = [n for n, line in enumerate(lines, start=1) if quote in line]
            moved.append(f"{path}#L{number}: `{quote}` is now in line {now}")
    assert moved == []
