"""A disk cache of the outputs of a model's frozen parts, memory-mapped when read.

A frozen part computes the same result for the same view of a photo, so training uses only a few
random views of each photo, one per epoch in turn. Each view goes through the model separately, so
that its result does not depend on other photos in a batch. File names are derived from everything
that determines the files' content, so outdated files are never read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from torch import Tensor, nn

from base.errors import InputError
from base.files import digest, inside
from conversion.coco.panoptic import Photo
from detr.data.batch import Batch, CachedOutput
from detr.data.examples import Examples
from detr.data.padded import Padded, pad
from detr.data.targets import SegmentMap
from detr.model.detr import DETR
from detr.weights.saving import save_torch

FORMAT = "1"  # increase it when the content of files changes without a change of their names
Key = tuple[str, int, int | None]  # folder of the split's photos, image id, number of the view


@dataclass(frozen=True)
class ViewFiles:
    """The files of one view: backbone features with segments, and outputs of the box model."""

    features: Path
    decoded: Path


class FeatureCache:
    """Cached features of the backbone of `detr` or, if `decoded`, outputs of all of `detr`."""

    def __init__(self, folder: Path, detr: DETR, *, views: int, decoded: bool) -> None:
        self._folder, self._detr = folder, detr
        self._views, self._decoded = views, decoded
        self._weights = (_weights_digest(detr.backbone[0]), _weights_digest(detr))
        self._files: dict[Key, ViewFiles] = {}

    @torch.no_grad()
    def fill(
        self, examples: Examples, *, device: torch.device, rank: int = 0, world: int = 1
    ) -> Iterator[None]:
        """Compute this process's share of the missing and cut files; yield after every photo."""
        plain = examples.epoch is None
        views = [examples] if plain else [replace(examples, epoch=i) for i in range(self._views)]
        for index, photo in enumerate(examples.panoptic.photos):
            content = digest(examples.photo_path(photo), _png_path(examples, photo))
            for view in views:
                files = self._name(view, photo, content)
                self._files[self._key(view, photo)] = files
                if index % world == rank:
                    self._compute(view, photo, files, device)
            yield

    def read_batches(self, examples: Examples, batches: Sequence[Sequence[int]]) -> Iterator[Batch]:
        """Read each batch of example indices.

        Raises InputError if a file is damaged.
        """
        for batch in batches:
            photos = [examples.panoptic.photos[index] for index in batch]
            files = [self._files[self._key(examples, photo)] for photo in photos]
            cached = [_load(each.features) for each in files]
            levels = [c["levels"] if examples.with_masks else c["levels"][-1:] for c in cached]
            features = [pad(level) for level in zip(*levels, strict=True)]
            targets = [_segments(p, c) for p, c in zip(photos, cached, strict=True)]
            if not examples.with_masks:
                targets = [target.without_masks() for target in targets]
            inputs = _decoded(features, files) if self._decoded else features
            yield Batch(inputs, targets)

    def _compute(
        self, examples: Examples, photo: Photo, files: ViewFiles, device: torch.device
    ) -> None:
        if not is_zipfile(files.features):  # missing, or cut off by a power cut
            view = examples.view(photo)
            levels = self._detr.backbone[0](pad([examples.image(photo, view)]).to(device))
            segments = replace(examples, with_masks=True).segments(photo, view)
            names = ("labels", "cxcywh_norm", "indices")
            values = {name: getattr(segments, name) for name in names}
            _save(files.features, {**values, "levels": [_half(f.values[0]) for f in levels]})
        if self._decoded and not is_zipfile(files.decoded):
            levels = [pad([level.float()]).to(device) for level in _load(files.features)["levels"]]
            output = self._detr.detect(levels)
            _save(
                files.decoded,
                {
                    "logits": torch.stack([each.logits[0] for each in output.layers]).cpu(),
                    "cxcywh_norm": torch.stack(
                        [each.cxcywh_norm[0] for each in output.layers]
                    ).cpu(),
                    "state": output.embeddings[0].half().cpu(),
                    "memory": _half(output.memory[0]),
                },
            )

    def _name(self, examples: Examples, photo: Photo, content: str) -> ViewFiles:
        """Return a view's files, named after photo, segments, view, colour changes and weights."""
        config, epoch = examples.config, examples.epoch
        colours = None if epoch is None else (config.photometric, config.seed, epoch, photo.id)
        inputs = (FORMAT, examples.view(photo), colours, config.backbone, photo.segments)
        example = digest(content, repr((*inputs, examples.classes.category_ids)))
        features, decoded = (digest(example, weights) for weights in self._weights)
        return ViewFiles(self._path("features", features), self._path("decoded", decoded))

    def _path(self, kind: str, name: str) -> Path:
        # in subfolders, because a folder of 100,000 files is slow
        return self._folder / kind / name[:2] / f"{name[2:]}.pt"

    def _key(self, examples: Examples, photo: Photo) -> Key:
        view = None if examples.epoch is None else examples.epoch % self._views
        return str(examples.images), photo.id, view


def _half(values: Tensor) -> Tensor:
    """Convert (C, H, W) to half precision and channels-last, which convolutions read fastest."""
    return values.half().cpu().permute(1, 2, 0).contiguous().permute(2, 0, 1)


def _decoded(features: list[Padded], files: list[ViewFiles]) -> CachedOutput:
    cached = [_load(each.decoded) for each in files]
    logits, boxes = (torch.stack([c[n] for c in cached], dim=1) for n in ("logits", "cxcywh_norm"))
    embeddings = torch.stack([c["state"] for c in cached])
    return CachedOutput(
        features, logits, boxes, embeddings, pad([c["memory"] for c in cached]).values
    )


def _segments(photo: Photo, cached: dict[str, Any]) -> SegmentMap:
    height, width = cached["indices"].shape
    return SegmentMap(
        photo.id,
        photo.file_name,
        (height, width),
        cached["labels"],
        cached["cxcywh_norm"],
        cached["indices"],
    )


def _png_path(examples: Examples, photo: Photo) -> Path:
    panoptic = examples.panoptic
    return inside(panoptic.png_folder, photo.png_name, where=str(panoptic.json_path))


def _weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 digest of all weights with their names."""
    parts: list[str | bytes] = []
    for name, value in sorted(module.state_dict().items()):
        array: Tensor = value.detach().cpu().contiguous()
        parts += [f"{name} {tuple(array.shape)}", array.numpy().tobytes()]
    return digest(*parts)


def _save(path: Path, value: dict[str, Any]) -> None:
    """Write a file. Raises InputError if this fails, for example because the disk is full."""
    try:
        save_torch(path, value)
    except OSError as error:
        raise InputError(
            f"{path}: the feature cache cannot be written: {error.strerror}; free disk space, or"
            " train without a cache by setting cached_views: 0 (in another --run if an epoch is"
            " already finished)"
        ) from None


def _load(path: Path) -> dict[str, Any]:
    """Memory-map a file; the operating system caches what fits in memory.

    Raises InputError, and removes the file, if it is damaged.
    """
    try:
        values: dict[str, Any] = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except Exception:  # after a power failure, for example; a damaged file can raise any exception
        path.unlink(missing_ok=True)
        raise InputError(
            f"{path}: this feature cache file was damaged and has been removed; run the same"
            " command again to recompute it and continue"
        ) from None
    return values


def folder_size(folder: Path) -> int:
    """Return the total size of all files in a folder, in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
