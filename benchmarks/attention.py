"""Draw how the mask head of the published variant makes masks.

`python -m benchmarks.attention RUN PHOTO --out FILE.jpg` draws one row for each of the best
queries: the photo with the box, the attention maps of all heads, the features after lay2 to lay5
(mean over the channels), and the mask. The maps of a query share one scale, because one softmax
covers all of them; each of the other pictures has its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from annotation.photos.files import read_photo
from base.errors import InputError
from base.files import write_bytes
from detr.data.boxes import norm_to_pixels
from detr.data.colours import normalise
from detr.data.padded import pad
from detr.data.view import whole_view
from detr.model.segmentation import DETRsegm
from detr.prediction.postprocess import Detection, find_detections
from detr.prediction.predictor import LoadedModel, find_model_file, load_model
from evaluation.report.draw import Picture
from evaluation.report.lettering import render

CELL = (160, 120)  # width and height of a picture, in pixels
BAND, LETTERS = 18, 12  # pixels of a caption and of its letters
QUALITY = 80  # of the JPEG
STEPS = ("gn2", "gn3", "gn4", "gn5")


@dataclass(frozen=True)
class QuerySteps:
    """What the mask head computed for one query."""

    detection: Detection
    cxcywh_norm: Tensor  # (4,)
    maps: Tensor  # (M, h, w) attention
    features: tuple[Tensor, ...]  # (h, w) means over the channels, after each of STEPS
    logits: Tensor  # (H/4, W/4)


@torch.no_grad()
def find_steps(loaded: LoadedModel, photo: NDArray[np.uint8], *, rows: int) -> list[QuerySteps]:
    """Run the model on a photo (H, W, 3) BGR; return the steps of the queries with the best scores.

    Raises InputError if the model is not of the published variant, or predicts no masks.
    """
    model, config = loaded.model, loaded.config
    if not isinstance(model, DETRsegm):
        raise InputError("RUN: expected a run of `variant: detr` with masks, found another model")
    height, width = photo.shape[:2]
    view = whole_view(config, width=width, height=height)
    output = model.detr(pad([normalise(view.transform_photo(photo), config.backbone)]))
    last = output.layers[-1]
    found = find_detections(last.logits[0], loaded.classes, min_score=0)
    found = sorted((d for d in found if d.beats_no_object), key=lambda d: -d.score)[:rows]
    if not found:
        raise InputError("PHOTO: expected at least one segment, but the model finds none in it")
    query = torch.tensor([detection.query for detection in found])
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> None:
        module: nn.Module = getattr(model.mask_head, name)
        module.register_forward_hook(
            # a copy, because the ReLU that follows works in place
            lambda _module, _inputs, value: seen.update({name: value.relu()})
        )

    for name in STEPS:
        keep(name)
    model.bbox_attention.register_forward_hook(
        lambda _module, _inputs, value: seen.update(maps=value)
    )
    logits = model.masks(output, torch.zeros_like(query), query)
    return [
        QuerySteps(
            detection,
            last.cxcywh_norm[0, detection.query],
            seen["maps"][row],
            tuple(seen[name][row].mean(0) for name in STEPS),
            logits[row],
        )
        for row, detection in enumerate(found)
    ]


def draw_steps(photo: NDArray[np.uint8], rows: Sequence[QuerySteps]) -> Picture:
    """Draw one row of pictures per query; `photo` is (H, W, 3) BGR. Returns (h, w, 3) RGB."""
    heads = len(rows[0].maps)
    titles = ["query", *[f"head {n}" for n in range(1, heads + 1)]]
    titles += [f"after lay{name[-1]}" for name in STEPS] + ["mask"]
    return np.vstack([_titles(titles), *(_row(photo, steps) for steps in rows)])


def _row(photo: NDArray[np.uint8], steps: QuerySteps) -> Picture:
    rgb = np.ascontiguousarray(photo[..., ::-1])
    height, width = rgb.shape[:2]
    x, y, w, h = (
        norm_to_pixels(steps.cxcywh_norm, width=width, height=height).round().int().tolist()
    )
    boxed = cv2.rectangle(rgb.copy(), (x, y), (x + w, y + h), (235, 30, 30), 2)
    masked = rgb.copy()
    inside = cv2.resize(steps.logits.numpy(), (width, height)) > 0
    masked[~inside] //= 4
    most = float(steps.maps.max())
    cells = [_fitted(boxed, cv2.INTER_AREA)]
    cells += [_heat(one, most) for one in steps.maps]
    cells += [_heat(one, float(one.max())) for one in steps.features]
    cells.append(_fitted(masked, cv2.INTER_AREA))
    name = f"{steps.detection.category.name} {steps.detection.score:.2f}"
    render(name, height=LETTERS, otherwise="").write(cells[0], left=2, top=CELL[1] - BAND)
    return np.hstack([np.pad(c, ((0, 2), (0, 2), (0, 0)), constant_values=255) for c in cells])


def _heat(values: Tensor, most: float) -> Picture:
    """Colour (h, w) values from 0 to `most`, each as a square that is not smoothed."""
    grey = (values / max(most, 1e-9) * 255).clamp(0, 255).byte().numpy()
    return _fitted(cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)[..., ::-1], cv2.INTER_NEAREST)


def _fitted(picture: Picture, interpolation: int) -> Picture:
    resized = cv2.resize(np.ascontiguousarray(picture), CELL, interpolation=interpolation)
    return np.asarray(resized, np.uint8)


def _titles(names: Sequence[str]) -> Picture:
    band = np.zeros((BAND, (CELL[0] + 2) * len(names), 3), np.uint8)
    for number, name in enumerate(names):
        lettering = render(name, height=LETTERS, otherwise="")
        lettering.write(band, left=number * (CELL[0] + 2) + 2, top=0)
    return band


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path, help="run of `variant: detr` with masks")
    parser.add_argument("photo", type=Path)
    parser.add_argument("--rows", type=int, default=4, help="number of queries")
    parser.add_argument("--out", type=Path, default=Path("runs/attention.jpg"))
    given = parser.parse_args()
    photo = read_photo(given.photo)
    rows = find_steps(load_model(find_model_file(given.run)), photo, rows=given.rows)
    picture = draw_steps(photo, rows)[..., ::-1]
    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    write_bytes(given.out, jpeg.tobytes())
    print(f"{given.out}: written")


if __name__ == "__main__":
    main()
