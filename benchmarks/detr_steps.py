"""Time and memory of a training step and of inference, beside the DETR of `transformers`.

Two threads, batch 2, 7 objects a photo, random weights and photos. Each side of a case runs in
processes of its own, taking turns; a figure is the median over all of them. Both sides train the
same parameters and end a step with clipping and AdamW. Our steps are as `train` makes them where
nothing is configured: in bfloat16 where the processor multiplies that itself, else in float32;
`-float32` are in float32 anyway. The peer and all inference are in float32.

Also printed is the share of our time in each part of a step; of the peer's, matching and losses are
in its forward part.

The peer is measured as it is installed, and once more with the settings of glibc and OpenMP that
our training makes (`annotation.memory`, `detr`), which help it too.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn

from base.memory import keep_freed_memory
from base.parsing import write_json
from conversion.coco.panoptic import PanopticSet, write_panoptic
from detr.config import TrainConfig
from detr.data.examples import Target, read_splits
from detr.data.padded import pad
from detr.losses.criterion import box_losses, mask_losses, matched_queries, num_boxes, stack_masks
from detr.losses.matcher import match
from detr.model.detr import DETR, Output
from detr.model.segmentation import DETRsegm
from detr.training.clock import Clock
from detr.training.features import ViewCache
from detr.training.learner import Trunk, guesses_in_float32, has_bfloat16, on_device

CLASSES, OBJECTS, BATCH, THREADS, WARM, ROUNDS = 91, 7, 2, 2, 1, 2
FULL = TrainConfig()
SMALL = replace(FULL, backbone="resnet18", enc_layers=3, dec_layers=3, hidden_dim=128)


@dataclass(frozen=True)
class Case:
    """Sides to time, `steps` a process; `most` of the time of `beside` is allowed to ours."""

    sides: tuple[str, ...]
    beside: str
    steps: int
    most: dict[str, float]


BOXES = ("ours", "ours-float32", "peer-kept", "peer")
CASES = {
    "boxes step, ResNet-50, 512x512": Case(BOXES, "peer", 5, {"ours": 0.5}),
    "boxes step, small, 256x256": Case(BOXES, "peer", 20, {"ours": 0.6}),
    "masks step, frozen boxes, ResNet-50, 512x512": Case(
        ("ours", "ours-cached", "all", "peer"), "all", 5, {"ours": 0.2, "ours-cached": 0.1}
    ),
    "masks step in float32": Case(
        ("ours-float32", "ours-cached-float32", "all-float32"), "all-float32", 5, {}
    ),
    "inference with masks, ResNet-50, 512x512": Case(
        ("ours", "all", "peer"), "all", 5, {"ours": 0.333}
    ),
}
See = Callable[[], tuple[Output, list[Target]]]
CPU = torch.device("cpu")
CLOCK = Clock(CPU)
MATCHING = "matching and losses"  # within forward
SPINS = "300000"  # of a waiting thread, by libgomp where nobody says so; see detr/kernels/threads.py


def make_targets(size: int) -> list[Target]:
    """Random boxes, and their insides as masks."""
    generator = torch.Generator().manual_seed(0)
    targets = []
    for index in range(BATCH):
        centres = torch.rand(OBJECTS, 2, generator=generator) * 0.5 + 0.25
        sides = torch.rand(OBJECTS, 2, generator=generator) * 0.3 + 0.1
        boxes = torch.cat([centres, sides], dim=1)
        place = (torch.arange(size) + 0.5) / size
        across = (place - boxes[:, 0, None]).abs() < boxes[:, 2, None] / 2  # (7, W)
        down = (place - boxes[:, 1, None]).abs() < boxes[:, 3, None] / 2
        labels = torch.randint(0, CLASSES, (OBJECTS,), generator=generator)
        masks = down[:, :, None] & across[:, None]
        targets.append(Target(index, f"{index}.jpg", (size, size), labels, boxes, masks))
    return targets


def peer_labels(targets: list[Target]) -> list[dict[str, Tensor]]:
    """Targets as the peer takes them."""
    return [
        {"class_labels": t.labels, "boxes": t.cxcywh_norm, "masks": t.masks.float()}
        for t in targets
    ]


def trained_by(model: nn.Module, loss: Callable[[], Tensor], *, fused: bool) -> Callable[[], None]:
    """A whole training step on what `loss` gives."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, weight_decay=1e-4, fused=fused)

    def step() -> None:
        optimizer.zero_grad()
        with CLOCK("forward"):
            total = loss()
        with CLOCK("backward"):
            torch.autograd.backward(total)
        with CLOCK("clipping and optimiser"):
            nn.utils.clip_grad_norm_(trained, 0.1)
            optimizer.step()

    return step


def in_precision(side: str) -> AbstractContextManager[object]:
    """What a side's forward part runs in."""
    wanted = not side.endswith("float32") and has_bfloat16("cpu")
    return torch.autocast("cpu", torch.bfloat16, enabled=wanted)


def our_boxes_step(config: TrainConfig, size: int, *, side: str) -> Callable[[], None]:
    """All parameters trained, the stem and the first stage too."""
    model = DETR(config, CLASSES, pretrained=False).requires_grad_(True).train()
    images, targets = pad(list(torch.randn(BATCH, 3, size, size))), make_targets(size)

    def loss() -> Tensor:
        with in_precision(side):
            output = model(images)
        with CLOCK(MATCHING):
            matches = match(output.guesses[-1], targets, config)
            losses = box_losses(output, targets, matches, config)
        return torch.stack([v for name, v in losses.items() if name.startswith("loss")]).sum()

    return trained_by(model, loss, fused=True)


def make_peer(config: TrainConfig, *, masks: bool) -> nn.Module:
    """The peer with its timm backbone."""
    from transformers import DetrForObjectDetection, DetrForSegmentation

    from tests.detr.peer import peer_config

    theirs = peer_config(config, CLASSES, auxiliary_loss=not masks)
    model: nn.Module = (DetrForSegmentation if masks else DetrForObjectDetection)(theirs)
    return model


def peer_step(config: TrainConfig, size: int, *, masks: bool) -> Callable[[], None]:
    """All parameters trained, losses after every layer; or masks of all queries, boxes frozen."""
    model = make_peer(config, masks=masks).requires_grad_(True).train()
    if masks:
        model.detr.requires_grad_(False).eval()
    images, labels = torch.randn(BATCH, 3, size, size), peer_labels(make_targets(size))

    def loss() -> Tensor:
        found: Tensor = model(images, labels=labels).loss
        return found

    return trained_by(model, loss, fused=False)


def our_masks_step(size: int, *, side: str) -> Callable[[], None]:
    """On the frozen box model; as side "all…", all queries go through the head."""
    model = DETRsegm(DETR(FULL, CLASSES, pretrained=False).requires_grad_(False), FULL).train()
    model.detr.eval()
    see = (cached_photos if "cached" in side else photos)(model.detr, size, side=side)

    def loss() -> Tensor:
        with torch.no_grad():
            output, targets = see()
            with CLOCK(MATCHING):
                matches = match(output.guesses[-1], targets, FULL)
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

    return trained_by(model, loss, fused=True)


def photos(detr: DETR, size: int, *, side: str) -> See:
    """What the box model makes of photos."""
    images, targets = pad(list(torch.randn(BATCH, 3, size, size))), make_targets(size)

    def see() -> tuple[Output, list[Target]]:
        with in_precision(side):
            return guesses_in_float32(detr(images)), targets

    return see


def cached_photos(detr: DETR, size: int, *, side: str) -> See:
    """What a cache in a temporary folder has kept of photos, read back every time."""
    folder = TemporaryDirectory()
    panoptic = draw(Path(folder.name) / "panoptic", size)
    config = replace(FULL, cached_views=1, train_sizes=(size,), crop=0, flip=False)
    examples = replace(read_splits(panoptic).examples("train", config), epoch=0)
    cache = ViewCache(Path(folder.name) / "cache", detr, views=1, decoded=True)
    for _ in cache.fill(examples, device=CPU):
        pass
    trunk = Trunk(detr)

    def see() -> tuple[Output, list[Target]]:
        assert folder.name  # it is removed with this function
        (batch,) = cache.batches(examples, [range(BATCH)])
        with in_precision(side):
            output = guesses_in_float32(trunk(on_device(batch.seen, CPU)))
        return output, [target.to(CPU) for target in batch.targets]

    return see


def draw(folder: Path, size: int) -> Path:
    """A built data set of the photos of `make_targets`."""
    from tests.detr.drawn import CATEGORIES, write_photo

    (folder / "annotations").mkdir(parents=True)
    for split in ("train", "test"):
        pngs, drawn = folder / f"panoptic_{split}", []
        for target in make_targets(size):
            numbers = torch.arange(1, OBJECTS + 1)[:, None, None]
            ids = (target.masks * numbers).amax(0).numpy().astype(np.uint32)
            kinds = {n: CATEGORIES[n % len(CATEGORIES)].id for n in range(1, OBJECTS + 1)}
            kinds = {n: kind for n, kind in kinds.items() if (ids == n).any()}
            drawn.append(write_photo(folder / split, pngs, target.image_id + 1, ids, kinds))
        path = folder / "annotations" / f"panoptic_{split}.json"
        write_panoptic(PanopticSet(path, pngs, CATEGORIES, tuple(drawn)))
    write_json(folder / "manifest.json", {})
    return folder


def our_inference(size: int, *, every: bool) -> Callable[[], None]:
    """Masks of as many queries as there are objects, or of all."""
    model = DETRsegm(DETR(FULL, CLASSES, pretrained=False), FULL).requires_grad_(False).eval()
    images = pad(list(torch.randn(BATCH, 3, size, size)))
    photo = torch.arange(BATCH).repeat_interleave(OBJECTS)
    query = torch.arange(OBJECTS).repeat(BATCH)

    @torch.no_grad()
    def step() -> None:
        output = model.detr(images)
        model.all_masks(output) if every else model.masks(output, photo, query)

    return step


def peer_inference(size: int) -> Callable[[], None]:
    """Masks of all queries."""
    model, images = make_peer(FULL, masks=True).eval(), torch.randn(BATCH, 3, size, size)

    @torch.no_grad()
    def step() -> None:
        model(images)

    return step


def make_step(case: str, side: str) -> Callable[[], None]:
    """What is timed for one side of one case."""
    ours = side.startswith(("ours", "all"))
    if case.startswith("boxes"):
        config, size = (SMALL, 256) if "small" in case else (FULL, 512)
        return (
            our_boxes_step(config, size, side=side)
            if ours
            else peer_step(config, size, masks=False)
        )
    if case.startswith("masks"):
        return our_masks_step(512, side=side) if ours else peer_step(FULL, 512, masks=True)
    return our_inference(512, every=side == "all") if ours else peer_inference(512)


def measure(case: str, side: str) -> None:
    """Print peak memory in MB, then seconds and processor seconds of every step of this process."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    if side != "peer":
        keep_freed_memory()
    step, taken = make_step(case, side), []
    for number in range(WARM + CASES[case].steps):
        if number == WARM:
            CLOCK.seconds.clear()
        start, busy = time.perf_counter(), time.process_time()
        step()
        taken += [time.perf_counter() - start, time.process_time() - busy]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    whole = sum(taken[2 * WARM :: 2])
    print(*(f"{part} {seconds / whole:.0%}" for part, seconds in CLOCK.seconds.items()), sep=", ")
    print(peak, *taken[2 * WARM :])


def compare(case: str) -> None:
    """Print every side's times and peak memory, and its share of those of the side beside it.

    Processor seconds tell more than seconds where other programs run beside.
    """
    sides, beside = CASES[case].sides, CASES[case].beside
    taken: dict[str, list[float]] = {side: [] for side in sides}
    peak, parts = dict.fromkeys(sides, 0), dict.fromkeys(sides, "")
    for _ in range(ROUNDS):
        for side in sides:
            words = ["-m", "benchmarks.detr_steps", "--case", case, "--side", side]
            settings = {**os.environ, **({"GOMP_SPINCOUNT": SPINS} if side == "peer" else {})}
            done = subprocess.run(
                [sys.executable, *words], env=settings, capture_output=True, text=True, check=True
            )
            parts[side], last = done.stdout.splitlines()[-2:]
            memory, *each = last.split()
            taken[side] += map(float, each)
            peak[side] = max(peak[side], int(memory))
    wall = {side: statistics.median(values[::2]) for side, values in taken.items()}
    busy = {side: statistics.median(values[1::2]) for side, values in taken.items()}
    allowed = ", ".join(f"{side} {most:g}" for side, most in CASES[case].most.items())
    print(f"{case} (at most, of {beside}: {allowed})")
    for side in sides:
        print(
            f"  {side:19} {wall[side]:7.3f} s, {wall[side] / wall[beside]:.3f} of {beside};"
            f" processor {busy[side]:7.3f} s, {busy[side] / busy[beside]:.3f};"
            f" {peak[side]:5d} MB, {peak[side] / peak[beside]:.2f}; {parts[side]}",
            flush=True,
        )


def main() -> None:
    """Compare all cases, those whose name holds --only, or time one side of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--case")
    parser.add_argument("--side")
    options = parser.parse_args()
    if options.case:
        measure(options.case, options.side)
        return
    for case in CASES:
        if options.only in case:
            compare(case)


if __name__ == "__main__":
    main()
