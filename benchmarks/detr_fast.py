"""The sides of `benchmarks.detr_steps` about `variant: fast`: its training step and prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.detr_inputs import CLASSES, CLOCK, CPU, FULL
from conversion.coco.categories import dataset_categories
from detr.config import TrainConfig
from detr.data.batch import Batch
from detr.data.classes import ClassTable, packed_classes, published_classes
from detr.data.loader import Step
from detr.data.padded import pad
from detr.data.targets import SegmentMap, find_segments
from detr.model.detr import DETR
from detr.model.fast.detr import FastDETR
from detr.model.segmentation import DETRsegm
from detr.prediction.fast_photo import FastPhoto
from detr.prediction.fast_segments import find_candidates
from detr.prediction.photo import DetrPhoto
from detr.prediction.postprocess import Candidate, Detection
from detr.prediction.results import DecodedPhoto
from detr.settings import Settings
from detr.training.average import WeightAverage
from detr.training.batch_losses import step_losses
from detr.training.optimizer import build_optimizer
from detr.training.processes import Processes
from detr.training.stage_model import build_module, prepare_model
from detr.weights.thresholds import SegmentThresholds

WIDTH, HEIGHT, THINGS = 320, 256, 6  # of a photo
THING_NAMES = ("drum", "cone", "crate", "barrow")
STUFF_NAMES = ("grass-merged", "road", "sky-other-merged")
SCORE, THRESHOLD = 0.9, 0.5  # of the segments of a prediction


def fast_classes() -> ClassTable:
    """Return the classes of a small set: four of things and three of stuff."""
    return packed_classes(dataset_categories(THING_NAMES, STUFF_NAMES, where=""))


def fast_config(side: str) -> TrainConfig:
    """Return the defaults of `variant: fast`, changed as the name of a side says."""
    changes = {"lr_backbone": 0.0} if "frozen" in side else {}
    precision = "float32" if side.endswith("float32") else "auto"
    return Settings({"variant": "fast", "precision": precision, **changes}).config()


def make_segments(count: int, *, width: int, height: int) -> list[SegmentMap]:
    """Make the segments of photos: THINGS rectangles on three bands of stuff."""
    rng, classes = np.random.default_rng(0), fast_classes()
    is_thing = [category.isthing for category in classes.categories]
    things, stuff = (np.flatnonzero(np.array(is_thing) == kind) for kind in (True, False))
    segments = []
    for image_id in range(count):
        labels = torch.tensor([*stuff, *rng.choice(things, THINGS)])
        ids = np.repeat(np.arange(height) * len(stuff) // height + 1, width).reshape(height, width)
        for number in range(THINGS):
            w, h = (int(side * rng.uniform(0.1, 0.3)) for side in (width, height))
            x, y = int(rng.integers(width - w)), int(rng.integers(height - h))
            ids[y : y + h, x : x + w] = len(stuff) + number + 1
        found = find_segments(ids.astype(np.uint32), list(range(1, len(labels) + 1)))
        boxes, indices = torch.from_numpy(found.cxcywh_norm), torch.from_numpy(found.indices)
        name, size = f"{image_id}.jpg", (height, width)
        segments.append(SegmentMap(image_id, name, size, labels[found.wanted], boxes, indices))
    return segments


def fast_step(
    side: str, *, batch: int = 4, width: int = WIDTH, height: int = HEIGHT
) -> Callable[[], None]:
    """Build a whole training step of `train`: losses, gradients, clipping, optimiser, average."""
    config = fast_config(side)
    module = build_module(config, fast_classes(), "joint", pretrained=False)
    model = replace(prepare_model(module, "joint", config, Processes(0, 1, CPU)), clock=CLOCK)
    model.set_training(True)
    optimizer = build_optimizer(module, config, lr=config.lr)
    average = WeightAverage(module, config.ema_decay)
    images = pad(list(torch.randn(batch, 3, height, width)))
    batches = [Batch(images, make_segments(batch, width=width, height=height))]
    planned = Step((tuple(range(batch)),), batch, is_counted=True)

    def step() -> None:
        optimizer.zero_grad()
        step_losses(model, planned, batches)
        with CLOCK("clipping and optimiser"):
            nn.utils.clip_grad_norm_(model.trained_parameters, config.clip_max_norm)
            optimizer.step()
            average.update(1000)

    return step


def prediction(side: str, *, width: int = WIDTH, height: int = HEIGHT) -> Callable[[], None]:
    """Build the prediction of one photo, from the model's input to its segments and instances.

    Both variants get the same input. The weights are random, so the scores of as many queries as
    the photo has segments are raised above the threshold.
    """
    image = torch.randn(1, 3, height, width)
    photo = DecodedPhoto(1, "1.jpg", np.zeros((height, width, 3), np.uint8))
    find = _find_fast if side == "fast" else _find_published
    predict, thresholds = find(photo, image), SegmentThresholds(THRESHOLD, THRESHOLD)

    @torch.no_grad()
    def step() -> None:
        found = predict()
        found.segments(thresholds, size=photo.size)
        found.instances(THRESHOLD)

    return step


def _find_fast(photo: DecodedPhoto, image: Tensor) -> Callable[[], FastPhoto]:
    classes = fast_classes()
    model = build_module(fast_config("fast"), classes, "joint", pretrained=False)
    assert isinstance(model, FastDETR)
    model.requires_grad_(False).eval()

    def find() -> FastPhoto:
        output = model(pad(list(image)))
        candidates = find_candidates(output, 0, classes)
        raised = {*range(THINGS), *range(len(candidates) - len(model.kinds.stuff), len(candidates))}
        scored = [
            replace(candidate, score=SCORE if index in raised else 0.0)
            for index, candidate in enumerate(candidates)
        ]
        return FastPhoto(photo, output.sizes[0], scored)

    return find


def _find_published(photo: DecodedPhoto, image: Tensor) -> Callable[[], DetrPhoto]:
    classes = published_classes(CLASSES)
    model = DETRsegm(DETR(FULL, CLASSES, pretrained=False), FULL).requires_grad_(False).eval()
    things = [category for category in classes.categories if category.isthing]
    query = torch.arange(THINGS + len(STUFF_NAMES))

    def find() -> DetrPhoto:
        output = model.detr(pad(list(image)))
        masks = model.masks(output, torch.zeros_like(query), query)
        boxes = output.layers[-1].cxcywh_norm[0, query]
        found = [Detection(number, things[number], SCORE, True) for number in query.tolist()]
        return DetrPhoto(
            photo, [Candidate(*each) for each in zip(found, masks, boxes, strict=True)]
        )

    return find
