"""Training: boxes first, then masks on top of the frozen boxes; or both at once.

A run can stop at any moment: a stage's checkpoint holds its whole log, `log.jsonl` is written from
the checkpoints, rates follow from the number of the step, and chance is drawn anew for every epoch
from (seed, stage, epoch).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Literal

import torch
from torch import Tensor

from base.errors import InputError
from base.files import digest
from base.memory import keep_freed_memory
from base.progress import track
from detr.config import RunConfig
from detr.data.examples import read_splits
from detr.kernels.compiling import says_what_compiling_needs
from detr.kernels.memory import says_what_to_lower
from detr.training.average import Average
from detr.training.epoch import Training, learn, score, test
from detr.training.features import ViewCache, folder_size
from detr.training.learner import Learner, Stage, start_learner
from detr.training.log import summary
from detr.training.optimizer import build_optimizer, load_state_by_name, state_by_name
from detr.training.processes import joined
from detr.training.run import (
    Begun,
    Job,
    begin,
    finished,
    forget,
    held,
    remove_cache,
    save,
    trained_boxes,
    with_precision,
)
from detr.training.schedule import stage_epochs
from detr.training.stage import build_model, epoch_seed
from detr.weights.checkpoint import Checkpoint
from detr.weights.init import read_start, start_from

Wanted = Literal["boxes", "masks", "both", "joint"]


def stages_of(wanted: Wanted) -> tuple[Stage, ...]:
    """The stages that `wanted` means, in their order."""
    return ("boxes", "masks") if wanted == "both" else (wanted,)


def train(panoptic: Path, run: Path, config: RunConfig, stage: Wanted) -> None:
    """Train `stage` of a run on the built data set `panoptic`, or go on where it stopped."""
    keep_freed_memory()
    with (
        joined() as processes,
        held(run, processes),
        says_what_to_lower(config.train),
        says_what_compiling_needs(),
    ):
        config = with_precision(run, config, processes)
        job = Job(
            splits=read_splits(panoptic),
            run=run,
            config=config.train,
            init=config.init,
            data_digest=digest(panoptic / "manifest.json"),
            processes=processes,
        )
        begun = begin(job, config, stages_of(stage))
        for each in stages_of(stage):
            _train_stage(job, each, begun)
        remove_cache(job)


def _train_stage(job: Job, stage: Stage, begun: Begun) -> None:
    """Train one stage to its last epoch, from its checkpoint if there is one; adds to `begun`."""
    last = begun.get(stage)
    boxes = trained_boxes(job, begun) if stage == "masks" else None
    job.processes.wait()
    if last and boxes and last.trunk_epoch != boxes.epoch:
        job.say(f"masks: boxes were trained on since epoch {last.trunk_epoch}; masks start again")
        last = None
    if last and finished(job.config, last):
        job.say(f"{stage}: already trained ({last.epoch} epochs)")
        return
    if last is None and job.processes.first:
        forget(job, stage)

    training = _start(job, stage, last, boxes)
    epoch, history = (last.epoch, last.history) if last else (0, [])
    try:
        while last is None or not finished(job.config, last):
            epoch += 1
            start = monotonic()
            line = learn(training, epoch)
            with _averaged(training) as own:
                line["test"] = test(training, epoch)
                last = _checkpoint(training, epoch, own, boxes)
                line |= score(training, last)
            line["seconds"] = round(monotonic() - start, 2)
            history = [*history, line]
            begun[stage] = last = replace(last, history=history)
            if job.processes.first:
                save(job, stage, begun)
            job.say(summary(line, stage_epochs(job.config, stage)))
    except KeyboardInterrupt:
        job.say(f"stopped in epoch {epoch}; start the same command to go on")
        raise


def _start(job: Job, stage: Stage, last: Checkpoint | None, boxes: Checkpoint | None) -> Training:
    """Model and optimiser, new or as they were at the end of `last`; the cache, filled."""
    config, processes = job.config, job.processes
    torch.manual_seed(epoch_seed(config, stage, 0))
    start = read_start(job.init) if job.init and last is None else None
    fresh = last is None and boxes is None and start is None
    model = build_model(config, len(job.splits.classes), stage, pretrained=fresh)
    if start:
        started = start_from(model, start, job.splits.classes, trunk=boxes is None)
        job.say("\n".join(started.lines()))
        if not started.has_backbone:
            raise InputError(
                f"{started.where}: its backbone is another than the configuration's `backbone`"
                f" {config.backbone}; choose the same"
            )
    learner = start_learner(model.to(processes.device), stage, config, processes)
    if boxes:
        learner.detr.load_state_dict(boxes.model)
    lr = config.mask_lr if stage == "masks" else config.lr
    optimizer = build_optimizer(model, config, lr=lr)
    average = Average(model, config.ema_decay) if config.ema_decay else None
    if last:
        model.load_state_dict(last.model)
        load_state_by_name(optimizer, model, last.optimizer)
        if average:
            average.go_on(last.unaveraged)
    return Training(job, learner, optimizer, average, _fill_cache(job, learner))


def _averaged(training: Training) -> AbstractContextManager[dict[str, Tensor]]:
    """The model with its averages, if there are any; gives its own weights where they differ."""
    return training.average.in_place() if training.average else nullcontext({})


def _checkpoint(
    training: Training, epoch: int, own: dict[str, Tensor], boxes: Checkpoint | None
) -> Checkpoint:
    """The end of an epoch, as copies; its history is added when all of it is known."""
    job, model = training.job, training.learner.model
    return Checkpoint(
        stage=training.stage,
        epoch=epoch,
        model={name: value.detach().clone() for name, value in model.state_dict().items()},
        unaveraged=own,
        optimizer=state_by_name(training.optimizer, model),
        classes=job.splits.classes,
        config=job.config,
        data_digest=job.data_digest,
        trunk_epoch=boxes.epoch if boxes else epoch,
        history=[],
    )


def _fill_cache(job: Job, learner: Learner) -> ViewCache | None:
    """Compute what is missing in the cache; None where nothing is frozen, or no cache wanted."""
    decoded = learner.stage == "masks"
    if not job.config.cached_views or (job.config.lr_backbone and not decoded):
        return None
    folder, processes = job.run / "cache", job.processes
    learner.model.eval()
    cache = ViewCache(folder, learner.detr, views=job.config.cached_views, decoded=decoded)
    for split, epoch in (("train", 0), ("test", None)):
        examples = replace(job.splits.examples(split, job.config), epoch=epoch)
        steps = cache.fill(
            examples, device=processes.device, rank=processes.rank, world=processes.world
        )
        for _ in track(steps, f"cache {split}", total=len(examples)):
            pass
    processes.wait()
    job.say(f"cache: {folder_size(folder) / 1e9:.2f} GB in {folder}, removed when all is trained")
    return cache
