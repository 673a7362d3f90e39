"""A data set seen through a frozen backbone: computed once, kept in memory.

Where nothing but mirroring changes a photo, the backbone would give the same features every epoch.
Each photo goes through it alone, so that they do not depend on who shares its batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from conversion.panoptic import Photo
from detr.data import Batch, Examples, Target
from detr.padded import pad
from detr.view import View, plain_view

Key = tuple[str, int, bool]  # folder of the split's photos, image id, mirrored


class FeatureCache:
    """Features and targets without masks by photo and mirroring, on the CPU."""

    def __init__(self) -> None:
        self._features: dict[Key, list[Tensor]] = {}
        self._targets: dict[Key, Target] = {}

    @torch.no_grad()
    def fill(
        self, backbone: nn.Module, examples: Examples, *, mirror: bool, device: torch.device
    ) -> Iterator[None]:
        """Compute what is missing; yields after every photo."""
        for photo in examples.panoptic.photos:
            plain = plain_view(examples.config, width=photo.width, height=photo.height)
            for view in (plain, replace(plain, mirrored=True)) if mirror else (plain,):
                key = _key(examples, photo.id, view)
                if key not in self._features:
                    image = pad([examples.image(photo, view)]).to(device)
                    self._features[key] = [level.values[0].cpu() for level in backbone(image)]
            yield

    def batches(self, examples: Examples, order: list[int]) -> Iterator[Batch]:
        """Batches of the examples in `order`, with features instead of photos."""
        size = examples.config.batch_size
        for cut in range(0, len(order), size):
            photos = [examples.panoptic.photos[index] for index in order[cut : cut + size]]
            views = [examples.view(photo) for photo in photos]
            keys = [_key(examples, p.id, view) for p, view in zip(photos, views, strict=True)]
            levels = zip(*(self._features[key] for key in keys), strict=True)
            targets = [self._target(examples, p, v) for p, v in zip(photos, views, strict=True)]
            yield Batch([pad(level) for level in levels], targets)

    def _target(self, examples: Examples, photo: Photo, view: View) -> Target:
        """Masks take as much memory as the features, so targets with them are not kept."""
        if examples.with_masks:
            return examples.target(photo, view)
        key = _key(examples, photo.id, view)
        if key not in self._targets:
            self._targets[key] = examples.target(photo, view)
        return self._targets[key]


def _key(examples: Examples, image_id: int, view: View) -> Key:
    return str(examples.images), image_id, view.mirrored
