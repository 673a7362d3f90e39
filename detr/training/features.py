"""What frozen parts of the model compute: once, on disk, memory-mapped when read.

A frozen part gives the same for the same view of a photo, so a photo is seen in a few random views
only, which take turns from epoch to epoch. Each goes through the model alone, so that what is kept
does not depend on who shares its batch. A file is named by everything that decides its content:
where anything changes, nothing old is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from base.errors import InputError
from base.files import digest, inside, replacing
from conversion.coco.panoptic import Photo
from detr.data.examples import Batch, Decoded, Examples, SegmentMap
from detr.data.padded import Padded, pad
from detr.model.detr import DETR

FORMAT = "1"  # goes up when files of the same name would hold something else
Key = tuple[str, int, int | None]  # folder of the split's photos, image id, number of the view


@dataclass(frozen=True)
class Files:
    """What is kept of one view: the backbone's features with the segments; the decoder's states."""

    features: Path
    decoded: Path


class ViewCache:
    """Views of photos as the frozen parts of `detr` see them: the backbone or, `decoded`, all."""

    def __init__(self, folder: Path, detr: DETR, *, views: int, decoded: bool) -> None:
        self._folder, self._detr = folder, detr
        self._views, self._decoded = views, decoded
        self._weights = (_weights_digest(detr.backbone[0]), _weights_digest(detr))
        self._files: dict[Key, Files] = {}

    @torch.no_grad()
    def fill(
        self, examples: Examples, *, device: torch.device, rank: int = 0, world: int = 1
    ) -> Iterator[None]:
        """Compute what is missing, each process its part; yields after every photo."""
        plain = examples.epoch is None
        turns = [examples] if plain else [replace(examples, epoch=i) for i in range(self._views)]
        for index, photo in enumerate(examples.panoptic.photos):
            content = digest(examples.photo_path(photo), _png_path(examples, photo))
            for turn in turns:
                files = self._name(turn, photo, content)
                self._files[self._key(turn, photo)] = files
                if index % world == rank:
                    self._compute(turn, photo, files, device)
            yield

    def batches(self, examples: Examples, cuts: Sequence[Sequence[int]]) -> Iterator[Batch]:
        """Batches of the examples with the indices `cuts`: features, or all that is `decoded`."""
        for cut in cuts:
            photos = [examples.panoptic.photos[index] for index in cut]
            files = [self._files[self._key(examples, photo)] for photo in photos]
            kept = [_load(each.features) for each in files]
            levels = [k["levels"] if examples.with_masks else k["levels"][-1:] for k in kept]
            features = [pad(level) for level in zip(*levels, strict=True)]
            targets = [_segments(p, k) for p, k in zip(photos, kept, strict=True)]
            if not examples.with_masks:
                targets = [target.without_masks() for target in targets]
            seen = _decoded(features, files) if self._decoded else features
            yield Batch(seen, targets)

    def _compute(
        self, examples: Examples, photo: Photo, files: Files, device: torch.device
    ) -> None:
        if not files.features.exists():
            view = examples.view(photo)
            levels = self._detr.backbone[0](pad([examples.image(photo, view)]).to(device))
            shown = replace(examples, with_masks=True).segments(photo, view)
            names = ("labels", "cxcywh_norm", "indices")
            kept = {name: getattr(shown, name) for name in names}
            _save(files.features, {**kept, "levels": [_half(f.values[0]) for f in levels]})
        if self._decoded and not files.decoded.exists():
            levels = [pad([level.float()]).to(device) for level in _load(files.features)["levels"]]
            output = self._detr.detect(levels)
            _save(
                files.decoded,
                {
                    "logits": torch.stack([g.logits[0] for g in output.guesses]).cpu(),
                    "cxcywh_norm": torch.stack([g.cxcywh_norm[0] for g in output.guesses]).cpu(),
                    "state": output.state[0].half().cpu(),
                    "memory": _half(output.memory[0]),
                },
            )

    def _name(self, examples: Examples, photo: Photo, content: str) -> Files:
        """Files of a view, named by photo, segments, what is seen of them, and weights."""
        config, epoch = examples.config, examples.epoch
        colours = None if epoch is None else (config.photometric, config.seed, epoch, photo.id)
        seen = (FORMAT, examples.view(photo), colours, config.backbone, photo.segments)
        shown = digest(content, repr((*seen, examples.classes.category_ids)))
        features, decoded = (digest(shown, weights) for weights in self._weights)
        return Files(self._place("features", features), self._place("decoded", decoded))

    def _place(self, kind: str, name: str) -> Path:
        return self._folder / kind / name[:2] / f"{name[2:]}.pt"  # no folder of 100,000 files

    def _key(self, examples: Examples, photo: Photo) -> Key:
        view = None if examples.epoch is None else examples.epoch % self._views
        return str(examples.images), photo.id, view


def _half(values: Tensor) -> Tensor:
    """(C, H, W) with the channels last in memory, as the convolutions read them fastest."""
    return values.half().cpu().permute(1, 2, 0).contiguous().permute(2, 0, 1)


def _decoded(features: list[Padded], files: list[Files]) -> Decoded:
    kept = [_load(each.decoded) for each in files]
    logits, boxes = (torch.stack([k[n] for k in kept], dim=1) for n in ("logits", "cxcywh_norm"))
    state = torch.stack([k["state"] for k in kept])
    return Decoded(features, logits, boxes, state, pad([k["memory"] for k in kept]).values)


def _segments(photo: Photo, kept: dict[str, Any]) -> SegmentMap:
    height, width = kept["indices"].shape
    return SegmentMap(
        photo.id,
        photo.file_name,
        (height, width),
        kept["labels"],
        kept["cxcywh_norm"],
        kept["indices"],
    )


def _png_path(examples: Examples, photo: Photo) -> Path:
    panoptic = examples.panoptic
    return inside(panoptic.png_folder, photo.png_name, where=str(panoptic.json_path))


def _weights_digest(module: nn.Module) -> str:
    """SHA-256 of all weights with their names."""
    parts: list[str | bytes] = []
    for name, value in sorted(module.state_dict().items()):
        array: Tensor = value.detach().cpu().contiguous()
        parts += [f"{name} {tuple(array.shape)}", array.numpy().tobytes()]
    return digest(*parts)


def _save(path: Path, value: dict[str, Any]) -> None:
    try:
        with replacing(path) as temporary:
            torch.save(value, temporary)
    except RuntimeError as error:  # how torch says that a file cannot be written to its end
        raise InputError(
            f"{path.parent}: the cache cannot be written : {str(error).splitlines()[0]}; make space"
            " or train without it, cached_views: 0 (in another --run, once an epoch is done)"
        ) from None


def _load(path: Path) -> dict[str, Any]:
    """Memory-mapped: the system keeps in memory what there is room for."""
    try:
        kept: dict[str, Any] = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except Exception:  # as a power cut may leave it; a broken file can fail in any way
        path.unlink(missing_ok=True)
        raise InputError(
            f"{path}: this file of the cache was damaged and is removed; start the same command"
            " again, which computes it anew and goes on"
        ) from None
    return kept


def folder_size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
