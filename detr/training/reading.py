"""Reading an epoch's photos, in random order or for measuring, from disk or the feature cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch

from base.progress import track
from detr.config import TrainConfig
from detr.data.batch import Batch
from detr.data.examples import Examples
from detr.data.loader import Step, read_batches
from detr.training.feature_cache import FeatureCache, folder_size
from detr.training.run_folder import Run
from detr.training.stage_model import STAGES, Stage, StageModel


def epoch_seed(config: TrainConfig, stage: Stage, epoch: int, rank: int = 0) -> int:
    """Return the seed of one epoch of one stage; epoch 0 is for the initial weights."""
    words = np.random.SeedSequence([config.seed, STAGES.index(stage), epoch, rank])
    return int(words.generate_state(1)[0])


def shuffled_steps(run: Run, stage: Stage, photos: int, epoch: int) -> list[Step]:
    """Return the steps of an epoch, in a random order that depends on its seed."""
    generator = torch.Generator().manual_seed(epoch_seed(run.config, stage, epoch))
    order = torch.randperm(photos, generator=generator).tolist()
    return run.processes.plan_steps(order, run.config)


def steps_in_order(run: Run, photos: int) -> list[Step]:
    """Return the steps of measuring the losses of held-out photos."""
    return run.processes.plan_steps(range(photos), run.config)


def read_steps(
    model: StageModel,
    examples: Examples,
    steps: Sequence[Step],
    cache: FeatureCache | None,
    title: str,
) -> Iterator[tuple[Step, list[Batch]]]:
    """Yield each step with its batches, and show a progress bar in the first process."""
    indices = [batch for step in steps for batch in step.batches]
    read = cache.read_batches(examples, indices) if cache else read_batches(examples, indices)
    timed = model.clock.reading(read)
    for step in track(steps, title) if model.processes.is_first else steps:
        yield step, list(islice(timed, len(step.batches)))


def fill_cache(run: Run, model: StageModel) -> FeatureCache | None:
    """Complete the cache and return it; None if nothing is frozen or no cache is configured."""
    decoded = model.stage == "masks"
    if not run.config.cached_views or (run.config.lr_backbone and not decoded):
        return None
    folder, processes = run.folder / "cache", run.processes
    model.module.eval()
    cache = FeatureCache(folder, model.detr, views=run.config.cached_views, decoded=decoded)
    held_out = run.splits.held_out
    for split, examples in (
        ("train", run.examples("train", model.stage, epoch=0)),
        (held_out, run.examples(held_out, model.stage, epoch=None)),
    ):
        photos = cache.fill(
            examples, device=processes.device, rank=processes.rank, world=processes.world
        )
        for _ in track(photos, f"cache {split}", total=len(examples)):
            pass
    processes.barrier()
    size = folder_size(folder) / 1e9
    run.print(f"cache: {size:.2f} GB in {folder}; it is removed when training is complete")
    return cache
