"""The predictions of the peers of `benchmarks.learning`, and their scores with our evaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from annotation.photos.files import read_photo
from base.progress import track
from benchmarks.learning_peers import Peer
from conversion.coco.panoptic import PanopticSet, measure
from conversion.coco.panoptic_file import read_panoptic, write_panoptic
from conversion.coco.png import write_segment_ids
from conversion.coco.results import Result, write_results
from detr.config import TrainConfig
from detr.data.boxes import norm_to_pixels
from detr.data.classes import ClassTable
from detr.data.colours import normalise
from detr.data.kinds import kinds_of
from detr.data.view import whole_training_view
from detr.model.fast.sizes import canvas_size
from detr.prediction.postprocess import Region
from detr.prediction.results import (
    MAX_INSTANCES,
    DecodedPhoto,
    PhotoPrediction,
    to_prediction,
    to_result,
)
from evaluation.scores.precision import box_precision
from evaluation.scores.scores import Scores, evaluate_sets

THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of segments; transformers' default is 0.5


@dataclass(frozen=True)
class Numbers:
    """The scores in the table, in 0..1; None where a model does not predict masks."""

    box_ap: float | None = None
    box_ap50: float | None = None
    mask_ap: float | None = None
    pq: float | None = None
    things: float | None = None
    stuff: float | None = None

    @property
    def main(self) -> float:
        """The score that rates are chosen by: PQ, or box AP without masks."""
        return (self.pq if self.pq is not None else self.box_ap) or 0.0


def to_numbers(scores: Scores) -> Numbers:
    """Select the scores in the table."""
    box, mask, quality = scores.box_ap, scores.mask_ap, scores.quality
    return Numbers(
        box_ap=box.ap if box else None,
        box_ap50=box.ap50 if box else None,
        mask_ap=mask.ap if mask else None,
        pq=quality.all.pq,
        things=quality.things.pq if quality.things.n else None,
        stuff=quality.stuff.pq if quality.stuff.n else None,
    )


@dataclass(frozen=True)
class Output:
    """What a model predicted for a photo, whose input has a size and is padded to a canvas."""

    photo: DecodedPhoto
    size: tuple[int, int]  # height and width
    canvas: tuple[int, int]
    raw: Any  # what transformers' model returned

    @property
    def canvas_in_photo(self) -> tuple[int, int]:
        """The size of the canvas in pixels of the photo, height and width."""
        height, width = (
            max(full, round(canvas * full / side))
            for canvas, full, side in zip(self.canvas, self.photo.size, self.size, strict=True)
        )
        return height, width


@dataclass(frozen=True)
class Evaluator:
    """Predicts with a trained peer, and scores the predictions; `folder` is for its files."""

    peer: Peer
    model: nn.Module
    classes: ClassTable
    config: TrainConfig
    folder: Path

    @torch.no_grad()
    def predict(self, truth: PanopticSet, images: Path) -> list[Output]:
        """Run the model on the photos of a split, padded with grey to a multiple of 32 pixels."""
        outputs = []
        for photo in track(truth.photos, f"{self.peer.name}: predict"):
            pixels = read_photo(images / photo.file_name)
            view = whole_training_view(self.config, width=photo.width, height=photo.height)
            image = normalise(view.transform_photo(pixels), self.config.backbone)
            size = (view.out_height, view.out_width)
            height, width = canvas_size(size)
            padded = F.pad(image, (0, width - size[1], 0, height - size[0]))
            decoded = DecodedPhoto(photo.id, photo.file_name, pixels)
            raw = self.model(pixel_values=padded[None])
            names = ("class_queries_logits", "masks_queries_logits", "logits", "pred_boxes")
            kept = SimpleNamespace(**{n: getattr(raw, n) for n in names if hasattr(raw, n)})
            outputs.append(Output(decoded, size, (height, width), kept))
        return outputs

    def choose_threshold(self, truth: PanopticSet, outputs: list[Output]) -> float:
        """Return the threshold of segments with the highest PQ; boxes have none."""
        if not self.peer.has_masks:
            return 0.0
        return max(THRESHOLDS, key=lambda t: self.score(truth, outputs, threshold=t).main)

    def score(self, truth: PanopticSet, outputs: list[Output], *, threshold: float) -> Numbers:
        """Return the scores of a split's photos."""
        if not self.peer.has_masks:
            ap = box_precision(truth, (r for output in outputs for r in self._boxes(output)))
            return Numbers(ap.ap, ap.ap50) if ap else Numbers()
        self._write([self._panoptic(output, threshold) for output in outputs])
        return to_numbers(evaluate_sets(truth, read_panoptic(self.folder / "panoptic.json")))

    def _boxes(self, output: Output) -> list[Result]:
        """Return the best boxes of things, as RT-DETR's published post-processing."""
        things = kinds_of(self.classes).things
        scores = output.raw.logits[0].sigmoid()  # (Q, things)
        best, index = scores.flatten().topk(min(MAX_INSTANCES, scores.numel()))
        query, label = index // len(things), index % len(things)
        height, width = output.canvas_in_photo
        boxes = norm_to_pixels(output.raw.pred_boxes[0, query], width=width, height=height)
        return [
            Result(output.photo.id, self.classes.category_ids[things[number]], (x, y, w, h), score)
            for number, (x, y, w, h), score in zip(
                label.tolist(), boxes.tolist(), best.tolist(), strict=True
            )
        ]

    def _panoptic(self, output: Output, threshold: float) -> PhotoPrediction:
        """Return segments by transformers' post-processing, and instances as theirs for AP."""
        from transformers import Mask2FormerImageProcessor

        height, width = output.photo.size
        (found,) = Mask2FormerImageProcessor().post_process_panoptic_segmentation(
            output.raw,
            threshold=threshold,
            label_ids_to_fuse=set(kinds_of(self.classes).stuff),
            target_sizes=[output.canvas_in_photo],
        )
        drawn = found["segmentation"][:height, :width].long().numpy()  # -1 or 0: none
        present = [s for s in found["segments_info"] if (drawn == s["id"]).any()]
        ids = np.zeros((height, width), np.uint32)
        regions = []
        for number, segment in enumerate(present, start=1):
            ids[drawn == segment["id"]] = number
            category = self.classes.category(segment["label_id"])
            assert category is not None
            regions.append(Region(category, float(segment["score"]), ()))
        return to_prediction(output.photo, ids, regions, self._instances(output))

    def _instances(self, output: Output) -> list[Result]:
        """Return the best pairs of a query and a thing, scored by class and mask."""
        things, (height, width) = kinds_of(self.classes).things, output.photo.size
        classes = output.raw.class_queries_logits[0].softmax(-1)[:, list(things)]  # (Q, things)
        logits = output.raw.masks_queries_logits[0]  # (Q, h, w)
        inside = (logits > 0).float()
        quality = (logits.sigmoid() * inside).sum((1, 2)) / (inside.sum((1, 2)) + 1e-6)
        scores = classes * quality[:, None]
        best, index = scores.flatten().topk(min(MAX_INSTANCES, scores.numel()))
        results = []
        for score, query, number in zip(
            best.tolist(), index // len(things), (index % len(things)).tolist(), strict=True
        ):
            mask = _enlarge(logits[query], output.canvas_in_photo)[:height, :width] > 0
            category = self.classes.category(things[number])
            assert category is not None
            extent = measure(mask.numpy().astype(np.uint32)).get(1)
            if extent is not None:
                box = tuple(map(float, extent.xywh))
                results.append(
                    to_result(output.photo, category, score, mask=mask.numpy(), xywh=box)
                )
        return results

    def _write(self, predicted: list[PhotoPrediction]) -> None:
        """Write predictions in the form that the evaluation reads."""
        kept = []
        for number, each in enumerate(predicted):
            name = f"{number}.png"
            write_segment_ids(self.folder / "panoptic" / name, each.ids)
            kept.append(replace(each.photo, png_name=name))
        path, pngs = self.folder / "panoptic.json", self.folder / "panoptic"
        write_panoptic(PanopticSet(path, pngs, self.classes.categories, tuple(kept)))
        write_results(self.folder / "instances.json", [r for p in predicted for r in p.instances])


def _enlarge(logits: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(logits[None, None], size=size, mode="bilinear")[0, 0]
