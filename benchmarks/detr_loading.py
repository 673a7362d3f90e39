"""Photos per second that one process on one core loads for training, with masks.

Three methods with the same photos, sizes, crops and mirroring are compared: this project's view of
the id map, from which masks are made at the end; torchvision's transforms of the photo and the id
map; torchvision's transforms of the photo and the masks. All return a normalised photo, masks and
boxes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.ops import masks_to_boxes
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as VF

from annotation.photos.files import read_photo
from base.parsing import write_json
from conversion.coco.categories import dataset_categories
from conversion.coco.panoptic import PanopticSet, Photo, Segment, measure
from conversion.coco.panoptic_file import write_panoptic
from conversion.coco.png import write_segment_ids
from detr.config import TrainConfig
from detr.data.examples import Examples
from detr.data.splits import read_splits
from detr.data.view import View

PHOTOS, INSTANCES, WIDTH, HEIGHT, ROUNDS = 12, 30, 640, 480, 5
CATEGORIES = dataset_categories(["thing"], [], where="")


def main() -> None:
    """Write photos with 30 instances, load them with each method in turn, print the medians."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    methods = {
        "id map, this project": _own,
        "id map, torchvision": _one_map,
        "30 masks, torchvision": _masks,
    }
    with tempfile.TemporaryDirectory() as folder:
        examples = replace(_draw(Path(folder)), epoch=1)
        rates: dict[str, list[float]] = {name: [] for name in methods}
        for _ in range(ROUNDS):
            for name, load in methods.items():
                rates[name].append(_photos_per_second(examples, load))
    print(f"{PHOTOS} photos of {WIDTH}x{HEIGHT} with {INSTANCES} instances, DETR's training sizes")
    slowest = median(rates["30 masks, torchvision"])
    for name, found in rates.items():
        print(f"{name:24} {median(found):6.1f} photos/s  {median(found) / slowest:5.2f} x")


def _photos_per_second(examples: Examples, load: Callable[[Examples, Photo], object]) -> float:
    start = perf_counter()
    for photo in examples.panoptic.photos:
        load(examples, photo)
    return len(examples.panoptic.photos) / (perf_counter() - start)


def _own(examples: Examples, photo: Photo) -> object:
    """Load a photo as training does, with the masks made on the CPU."""
    view = examples.view(photo)
    image, segments = examples.image(photo, view), examples.segments(photo, view)
    return image, segments.to(torch.device("cpu"))


def _one_map(examples: Examples, photo: Photo) -> object:
    """Transform the photo and its id map with torchvision."""
    ids = torch.from_numpy(examples.panoptic.segment_ids(photo).astype(np.int32))
    image, seen = _transform(examples, photo, tv_tensors.Mask(ids[None]))
    numbers = torch.tensor([s.id for s in photo.segments], dtype=torch.int32)
    return image, _kept(seen == numbers[:, None, None])


def _masks(examples: Examples, photo: Photo) -> object:
    """Transform the photo and all its masks with torchvision."""
    ids = torch.from_numpy(examples.panoptic.segment_ids(photo).astype(np.int32))
    numbers = torch.tensor([s.id for s in photo.segments], dtype=torch.int32)
    image, masks = _transform(examples, photo, tv_tensors.Mask(ids == numbers[:, None, None]))
    return image, _kept(masks)


def _transform(examples: Examples, photo: Photo, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Crop, resize, mirror, change colours and normalise."""
    view: View = examples.view(photo)
    bgr = read_photo(examples.photo_path(photo))
    image = tv_tensors.Image(np.ascontiguousarray(bgr[..., ::-1].transpose(2, 0, 1)))
    box = (view.y, view.x, view.height, view.width)
    image, masks = VF.crop(image, *box), VF.crop(masks, *box)
    size = [view.out_height, view.out_width]
    image, masks = VF.resize(image, size, antialias=True), VF.resize(masks, size)
    if view.mirrored:
        image, masks = VF.horizontal_flip(image), VF.horizontal_flip(masks)
    most = examples.config.photometric
    image = v2.ColorJitter(brightness=most, contrast=most, saturation=most)(image)
    image = VF.to_dtype(image, torch.float32, scale=True)
    return VF.normalize(image, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), masks


def _kept(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Select the masks that are not empty, and compute their boxes (xyxy)."""
    kept = masks[masks.flatten(1).any(1)]
    return kept, masks_to_boxes(kept)


def _draw(folder: Path) -> Examples:
    """Write JPEG photos of noise, each with an id map of 30 circles."""
    rng = np.random.default_rng(0)
    photos = tuple(_draw_photo(folder, rng, index + 1) for index in range(PHOTOS))
    for split, kept in (("train", photos), ("test", ())):
        pngs = folder / f"panoptic_{split}"
        pngs.mkdir(exist_ok=True)
        json_path = folder / "annotations" / f"panoptic_{split}.json"
        write_panoptic(PanopticSet(json_path, pngs, CATEGORIES, kept))
    write_json(folder / "manifest.json", {})
    return read_splits(folder).examples("train", TrainConfig())


def _draw_photo(folder: Path, rng: np.random.Generator, index: int) -> Photo:
    ids = np.zeros((HEIGHT, WIDTH), np.int32)
    for number in range(INSTANCES):
        column, row = number % 6, number // 6
        place = (50 + 105 * column + int(rng.integers(9)), 45 + 95 * row + int(rng.integers(9)))
        cv2.circle(ids, place, int(rng.integers(20, 45)), 1000 * (number + 1), -1)
    bgr = cv2.GaussianBlur(rng.integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8), (9, 9), 0)
    (folder / "train").mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "train" / f"{index}.jpg"), bgr)
    write_segment_ids(folder / "panoptic_train" / f"{index}.png", ids.astype(np.uint32))
    segments = tuple(
        Segment(segment_id, CATEGORIES[0].id, area, box)
        for segment_id, (area, box) in measure(ids.astype(np.uint32)).items()
    )
    return Photo(index, f"{index}.jpg", WIDTH, HEIGHT, f"{index}.png", segments)


if __name__ == "__main__":
    main()
