"""Training: boxes first, then masks on top of the frozen boxes.

A run can stop at any moment: a stage's checkpoint holds its whole log, `log.jsonl` is written from
the checkpoints, and chance is drawn anew for every epoch from (seed, stage, epoch).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import torch
from torch import nn

from annotation.files import InputError, digest, write_yaml
from annotation.progress import track
from detr.checkpoint import Checkpoint, checkpoint_path, load_checkpoint, save_checkpoint
from detr.config import RunConfig, TrainConfig, check_same_run
from detr.data import Batch, Examples, Splits, batches, read_splits
from detr.features import FeatureCache
from detr.log import Means, summary, write_log
from detr.memory import keep_freed_memory
from detr.stage import (
    STAGES,
    Model,
    Stage,
    batch_losses,
    build_model,
    build_optimizer,
    epoch_seed,
    set_training,
    total_loss,
    trunk_of,
)


@dataclass(frozen=True)
class Job:
    """What both stages of one call of `train` share."""

    splits: Splits
    run: Path
    config: TrainConfig
    data_digest: str
    device: torch.device
    cache: FeatureCache | None


def train(
    panoptic: Path, run: Path, config: RunConfig, stage: Literal["boxes", "masks", "both"]
) -> None:
    """Train `stage` of a run on the built data set `panoptic`, or go on where it stopped."""
    keep_freed_memory()
    job = Job(
        splits=read_splits(panoptic),
        run=run,
        config=config.train,
        data_digest=digest(panoptic / "manifest.json"),
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        cache=FeatureCache(views) if (views := config.train.cached_views) else None,
    )
    begun = _begin(job, config)
    for each in STAGES if stage == "both" else (stage,):
        _train_stage(job, each, begun)


def _begin(job: Job, config: RunConfig) -> dict[Stage, Checkpoint]:
    """Check that the run is new or the same as before; its checkpoints."""
    paths = {stage: checkpoint_path(job.run, stage) for stage in STAGES}
    begun = {stage: load_checkpoint(path) for stage, path in paths.items() if path.exists()}
    if begun:  # a run that never finished an epoch has nothing that other values would spoil
        check_same_run(job.run, config)
    for checkpoint in begun.values():
        if checkpoint.data_digest != job.data_digest:
            raise InputError(
                f"{job.run}: was begun on another build of {job.splits.folder} (data"
                f" {checkpoint.data_digest[:8]} -> {job.data_digest[:8]}); use another --run"
            )
    write_yaml(job.run / "config.yaml", config)
    _write_log(job, begun)  # a kill may have come between the checkpoint and the log
    _warn_crowded(job)
    return begun


def _train_stage(job: Job, stage: Stage, begun: dict[Stage, Checkpoint]) -> None:
    """Train one stage to its last epoch, from its checkpoint if there is one; adds to `begun`."""
    config, last = job.config, begun.get(stage)
    trunk = _trained_boxes(job, begun) if stage == "masks" else None
    if last and trunk and last.trunk_epoch != trunk.epoch:
        print(f"masks: boxes were trained on since epoch {last.trunk_epoch}; masks start again")
        last = None
    epochs, drop = config.epochs, config.lr_drop
    if stage == "masks":
        epochs, drop = config.mask_epochs, config.mask_lr_drop
    if last and last.epoch >= epochs:
        print(f"{stage}: already trained ({last.epoch} epochs)")
        return

    torch.manual_seed(epoch_seed(config, stage, 0))
    model = build_model(
        config,
        len(job.splits.classes),
        trunk=trunk.model if trunk else None,
        pretrained=last is None,
    ).to(job.device)
    optimizer = build_optimizer(model, config)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, drop)
    if last:
        model.load_state_dict(last.model)
        optimizer.load_state_dict(last.optimizer)
        schedule.load_state_dict(last.schedule)

    epoch = last.epoch + 1 if last else 1
    history = last.history if last else []
    try:
        _fill_cache(job, model)
        while epoch <= epochs:
            line = _epoch(job, stage, model, optimizer, epoch)
            schedule.step()
            history = [*history, line]
            begun[stage] = Checkpoint(
                stage=stage,
                epoch=epoch,
                model=model.state_dict(),
                optimizer=optimizer.state_dict(),
                schedule=schedule.state_dict(),
                classes=job.splits.classes,
                config=config,
                data_digest=job.data_digest,
                trunk_epoch=trunk.epoch if trunk else epoch,
                history=history,
            )
            save_checkpoint(checkpoint_path(job.run, stage), begun[stage])
            _write_log(job, begun)
            print(summary(line, epochs), flush=True)
            epoch += 1
    except KeyboardInterrupt:
        print(f"stopped in epoch {epoch}; start the same command to go on", flush=True)
        raise


def _epoch(
    job: Job, stage: Stage, model: Model, optimizer: torch.optim.Optimizer, epoch: int
) -> dict[str, Any]:
    """Train on every training photo once, then test on every test photo; one line of the log."""
    start = monotonic()
    torch.manual_seed(epoch_seed(job.config, stage, epoch))
    examples = replace(_examples(job, "train", stage), epoch=epoch)
    order = torch.randperm(len(examples)).tolist()
    trained = Means()
    set_training(model, True)
    for batch in _batches(job, examples, order, f"{stage} {epoch} train"):
        optimizer.zero_grad()
        losses = batch_losses(model, batch, job.config, job.device)
        total = total_loss(losses, stage)
        _check_finite(total.item(), batch, epoch)
        if job.config.clip_max_norm:
            nn.utils.clip_grad_norm_(model.parameters(), job.config.clip_max_norm)
        optimizer.step()
        trained.add({"loss": total, **losses}, weight=len(batch.targets))

    return {
        "stage": stage,
        "epoch": epoch,
        "lr": optimizer.param_groups[0]["lr"],
        "train": trained.values(),
        "test": _test(job, stage, model, f"{stage} {epoch} test"),
        "seconds": round(monotonic() - start, 2),
    }


@torch.no_grad()
def _test(job: Job, stage: Stage, model: Model, title: str) -> dict[str, float]:
    """Means of the losses over the test photos."""
    examples = _examples(job, "test", stage)
    order = list(range(len(examples)))
    tested = Means()
    set_training(model, False)
    for batch in _batches(job, examples, order, title):
        losses = batch_losses(model, batch, job.config, job.device)
        tested.add({"loss": total_loss(losses, stage), **losses}, weight=len(batch.targets))
    return tested.values()


def _check_finite(total: float, batch: Batch, epoch: int) -> None:
    if total - total != 0:  # neither for NaN nor for infinity
        names = ", ".join(target.file_name for target in batch.targets)
        raise InputError(
            f"epoch {epoch}: the loss became {total} on {names}; the last checkpoint is kept,"
            " a lower lr may help (in another --run, once an epoch is done)"
        )


def _examples(job: Job, split: str, stage: Stage) -> Examples:
    examples = job.splits.examples(split, job.config)
    return replace(examples, with_masks=stage == "masks")


def _batches(job: Job, examples: Examples, order: list[int], title: str) -> Iterable[Batch]:
    """Batches from the cache or from disk, with a progress bar."""
    read = job.cache.batches(examples, order) if job.cache else batches(examples, order)
    return track(read, title, total=math.ceil(len(order) / job.config.batch_size))


def _fill_cache(job: Job, model: Model) -> None:
    """Compute the features that are missing, if the run keeps them."""
    if job.cache is None:
        return
    backbone = trunk_of(model).backbone[0].eval()
    for split, epoch in (("train", 0), ("test", None)):
        examples = replace(job.splits.examples(split, job.config), epoch=epoch)
        steps = job.cache.fill(backbone, examples, device=job.device)
        for _ in track(steps, f"features {split}", total=len(examples)):
            pass


def _trained_boxes(job: Job, begun: dict[Stage, Checkpoint]) -> Checkpoint:
    """The finished boxes stage; InputError where it is not."""
    done = begun["boxes"].epoch if "boxes" in begun else 0
    if done < job.config.epochs:
        raise InputError(
            f"{job.run}: masks need trained boxes, and {done} of {job.config.epochs} epochs are"
            " done; train the stage boxes first"
        )
    return begun["boxes"]


def _write_log(job: Job, begun: dict[Stage, Checkpoint]) -> None:
    lines = [line for stage in STAGES if stage in begun for line in begun[stage].history]
    write_log(job.run / "log.jsonl", lines)


def _warn_crowded(job: Job) -> None:
    """Say once how many training photos have more segments than the model has queries."""
    counts = [sum(not s.iscrowd for s in p.segments) for p in job.splits.train.photos]
    crowded = [count for count in counts if count > job.config.num_queries]
    if crowded:
        print(
            f"{len(crowded)} training photos have more segments than num_queries"
            f" {job.config.num_queries} (at most {max(crowded)}); what is too many is not learnt"
        )
