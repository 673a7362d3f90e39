"""A data set seen through a frozen backbone: computed once, kept in memory.

A frozen backbone gives the same features for the same view of a photo, so a photo is seen in a few
random views only, which take turns from epoch to epoch. Each goes through the backbone alone, so
that its features do not depend on who shares its batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from conversion.panoptic import Photo
from detr.data import Batch, Examples, Target
from detr.padded import pad

Key = tuple[str, int, int | None]  # folder of the split's photos, image id, number of the view


class FeatureCache:
    """Features and targets without masks by photo and view, on the CPU in half precision."""

    def __init__(self, views: int) -> None:
        self._views = views
        self._features: dict[Key, list[Tensor]] = {}
        self._targets: dict[Key, Target] = {}

    @torch.no_grad()
    def fill(
        self, backbone: nn.Module, examples: Examples, *, device: torch.device
    ) -> Iterator[None]:
        """Compute what is missing; yields after every photo."""
        plain = examples.epoch is None
        turns = [examples] if plain else [replace(examples, epoch=i) for i in range(self._views)]
        for photo in examples.panoptic.photos:
            for turn in turns:
                key = self._key(turn, photo)
                if key not in self._features:
                    image = pad([turn.image(photo, turn.view(photo))]).to(device)
                    self._features[key] = [f.values[0].half().cpu() for f in backbone(image)]
            yield

    def batches(self, examples: Examples, order: list[int]) -> Iterator[Batch]:
        """Batches of the examples in `order`, with features instead of photos."""
        size = examples.config.batch_size
        if examples.epoch is not None:
            examples = replace(examples, epoch=examples.epoch % self._views)
        for cut in range(0, len(order), size):
            photos = [examples.panoptic.photos[index] for index in order[cut : cut + size]]
            kept = [self._features[self._key(examples, photo)] for photo in photos]
            levels = [pad([level.float() for level in each]) for each in zip(*kept, strict=True)]
            yield Batch(levels, [self._target(examples, photo) for photo in photos])

    def _target(self, examples: Examples, photo: Photo) -> Target:
        """Masks take as much memory as the features, so targets with them are not kept."""
        if examples.with_masks:
            return examples.target(photo, examples.view(photo))
        key = self._key(examples, photo)
        if key not in self._targets:
            self._targets[key] = examples.target(photo, examples.view(photo))
        return self._targets[key]

    def _key(self, examples: Examples, photo: Photo) -> Key:
        view = None if examples.epoch is None else examples.epoch % self._views
        return str(examples.images), photo.id, view
