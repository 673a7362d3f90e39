"""Our side of `benchmarks.detr_steps`: training steps and inference of this project's DETR."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from benchmarks.detr_inputs import (
    BATCH,
    CLASSES,
    CLOCK,
    CPU,
    FULL,
    MATCHING,
    OBJECTS,
    make_targets,
    training_step,
    write_data_set,
)
from detr.config import TrainConfig
from detr.data.padded import pad
from detr.data.splits import read_splits
from detr.data.targets import Target
from detr.losses.criterion import box_losses, mask_losses, matched_queries, num_boxes, stack_masks
from detr.losses.matcher import match
from detr.model.detr import DETR, Output
from detr.model.segmentation import DETRsegm
from detr.training.feature_cache import FeatureCache
from detr.training.precision import has_bfloat16
from detr.training.stage_model import Trunk, to_device

BoxOutputs = Callable[[], tuple[Output, list[Target]]]


def in_precision(side: str) -> AbstractContextManager[object]:
    """Autocast to bfloat16 if the side uses it and the processor supports it."""
    wanted = not side.endswith("float32") and has_bfloat16("cpu")
    return torch.autocast("cpu", torch.bfloat16, enabled=wanted)


def our_boxes_step(config: TrainConfig, size: int, *, side: str) -> Callable[[], None]:
    """Train all parameters, including the stem and the first stage of the backbone."""
    model = DETR(config, CLASSES, pretrained=False).requires_grad_(True).train()
    images, targets = pad(list(torch.randn(BATCH, 3, size, size))), make_targets(size)

    def loss() -> Tensor:
        with in_precision(side):
            output = model(images)
        with CLOCK(MATCHING):
            matches = match(output.layers[-1], targets, config)
            losses = box_losses(output, targets, matches, config)
        return torch.stack([v for name, v in losses.items() if name.startswith("loss")]).sum()

    return training_step(model, loss, fused=True)


def our_masks_step(size: int, *, side: str) -> Callable[[], None]:
    """Train the mask head on the frozen box model; sides "all..." compute all queries' masks."""
    model = DETRsegm(DETR(FULL, CLASSES, pretrained=False).requires_grad_(False), FULL).train()
    model.detr.eval()
    run_boxes = (cached_photos if "cached" in side else photos)(model.detr, size, side=side)

    def loss() -> Tensor:
        with torch.no_grad():
            output, targets = run_boxes()
            with CLOCK(MATCHING):
                matches = match(output.layers[-1], targets, FULL)
        photo, query = matched_queries(matches)
        with in_precision(side):
            masks = (
                model.all_masks(output)[photo, query]
                if side.startswith("all")
                else model.masks(output, photo, query)
            )
        with CLOCK(MATCHING):
            wanted = stack_masks(targets, matches)
            both, _ = mask_losses(masks.float(), wanted, num_boxes(targets), FULL)
        return both

    return training_step(model, loss, fused=True)


def photos(detr: DETR, size: int, *, side: str) -> BoxOutputs:
    """Return a function that runs the box model on random photos."""
    images, targets = pad(list(torch.randn(BATCH, 3, size, size))), make_targets(size)

    def run() -> tuple[Output, list[Target]]:
        with in_precision(side):
            return detr(images), targets

    return run


def cached_photos(detr: DETR, size: int, *, side: str) -> BoxOutputs:
    """Return a function that reads the outputs of the box model from a cache on disk."""
    folder = TemporaryDirectory()
    panoptic = write_data_set(Path(folder.name) / "panoptic", size)
    config = replace(FULL, cached_views=1, train_sizes=(size,), crop=0, flip=False)
    examples = replace(read_splits(panoptic).examples("train", config), epoch=0)
    cache = FeatureCache(Path(folder.name) / "cache", detr, views=1, decoded=True)
    for _ in cache.fill(examples, device=CPU):
        pass
    trunk = Trunk(detr)

    def read() -> tuple[Output, list[Target]]:
        assert folder.name  # the folder is removed when this function is freed
        (batch,) = cache.read_batches(examples, [range(BATCH)])
        with in_precision(side):
            output = trunk(to_device(batch.inputs, CPU))
        return output, [target.to(CPU) for target in batch.targets]

    return read


def our_inference(size: int, *, every: bool) -> Callable[[], None]:
    """Predict masks for as many queries as there are instances or, with `every`, for all."""
    model = DETRsegm(DETR(FULL, CLASSES, pretrained=False), FULL).requires_grad_(False).eval()
    images = pad(list(torch.randn(BATCH, 3, size, size)))
    photo = torch.arange(BATCH).repeat_interleave(OBJECTS)
    query = torch.arange(OBJECTS).repeat(BATCH)

    @torch.no_grad()
    def step() -> None:
        output = model.detr(images)
        model.all_masks(output) if every else model.masks(output, photo, query)

    return step
