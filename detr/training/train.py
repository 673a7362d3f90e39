"""Training, from opening a run to the last line of its log.

Stages: boxes first, then masks on top of the frozen box model; or both jointly. A run can be
stopped at any time and continued with the same results: a stage's checkpoint holds its log,
`log.jsonl` is written from the checkpoints, learning rates depend only on the step number, and
every epoch has its own random seed, derived from (seed, stage, epoch).
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import torch
from torch import Tensor, nn

from base.errors import InputError
from base.memory import keep_freed_memory
from detr.config import RunConfig, TrainConfig
from detr.data.batch import Batch
from detr.kernels.compiling import explained_compiler_errors
from detr.kernels.memory import explained_memory_errors
from detr.training.average import WeightAverage
from detr.training.batch_losses import step_losses
from detr.training.feature_cache import FeatureCache
from detr.training.log import MeanValues, summary
from detr.training.optimizer import (
    build_optimizer,
    learning_rates,
    load_state_by_name,
    set_learning_rates,
    state_by_name,
)
from detr.training.processes import Processes, join_processes
from detr.training.reading import (
    epoch_seed,
    fill_cache,
    read_steps,
    shuffled_steps,
    steps_in_order,
)
from detr.training.run_folder import (
    OnEpoch,
    Run,
    discard_stage,
    finished_boxes,
    lock_run,
    open_run,
    remove_cache,
    save_epoch,
)
from detr.training.schedule import History, find_decay, is_finished, rate_factor, stage_epochs
from detr.training.scoring import score_epoch
from detr.training.stage_model import Stage, StageModel, build_module, prepare_model
from detr.training.tuning import store_thresholds
from detr.weights.checkpoint import Checkpoint, checkpoint_path
from detr.weights.files import load_strictly
from detr.weights.init import copy_weights

StageOption = Literal["boxes", "masks", "both", "joint"]


def stages_of(option: StageOption, config: TrainConfig) -> tuple[Stage, ...]:
    """Return the stages that `--stage` selects, in training order.

    `variant: fast` always learns boxes and masks together. Raises InputError if `option` is one of
    them alone.
    """
    if config.variant == "fast" and option in ("boxes", "masks"):
        raise InputError(
            f"--stage {option}: `variant: fast` learns boxes and masks together; leave out --stage"
        )
    if config.variant == "fast":
        return ("joint",)
    return ("boxes", "masks") if option == "both" else (option,)


def train(
    panoptic: Path,
    folder: Path,
    config: RunConfig,
    stage: StageOption,
    processes: Processes | None = None,
    *,
    on_epoch: OnEpoch | None = None,
) -> None:
    """Train `stage` of the run in `folder` on the built data set `panoptic`, or continue it.

    Without `processes`, those that torchrun has started are joined. After every epoch, when its
    checkpoint is written, the first process calls `on_epoch` with the epoch's line of the log.
    Raises InputError if the run cannot be continued with `config`, if a photo cannot be read, if a
    loss is NaN or infinite, or if memory or disk space runs out.
    """
    keep_freed_memory()
    with (
        join_processes() if processes is None else nullcontext(processes) as processes,
        lock_run(folder, processes),
        explained_memory_errors(config.train),
        explained_compiler_errors(),
    ):
        stages = stages_of(stage, config.train)
        run = open_run(panoptic, folder, config, stages, processes, on_epoch)
        for each in stages:
            _train_stage(run, each)
        remove_cache(run)


def _train_stage(run: Run, stage: Stage) -> None:
    """Train one stage to its last epoch, starting after its last checkpoint."""
    config = run.config
    boxes = finished_boxes(run) if stage == "masks" else None  # the frozen box model
    last = _last_checkpoint(run, stage, boxes)
    history = last.history if last else []
    if is_finished(config, stage, history):
        run.print(f"{stage}: already trained (epochs: {len(history)})")
        store_thresholds(run, stage)  # unless this was done before
        return

    model = _build_model(run, stage, last, boxes)
    lr = config.mask_lr if stage == "masks" else config.lr
    optimizer = build_optimizer(model.module, config, lr=lr)
    average = WeightAverage(model.module, config.ema_decay)
    if last:
        load_state_by_name(optimizer, model.module, last.optimizer)
        average.resume(last.unaveraged, where=str(checkpoint_path(run.folder, stage)))
    cache = fill_cache(run, model)

    epoch = len(history)
    try:
        while not is_finished(config, stage, history):
            epoch, start = epoch + 1, monotonic()
            line = _train_epoch(run, model, optimizer, average, cache, history)
            with average.applied() as unaveraged:
                line[run.splits.held_out] = _held_out_losses(run, model, cache, epoch)
                checkpoint = _checkpoint(run, model, optimizer, unaveraged, epoch, boxes)
                line |= score_epoch(run, model, cache, checkpoint, history)
            # the first process's time, because a timed schedule must be the same in all
            line["seconds"] = run.processes.broadcast(round(monotonic() - start, 2))
            history = [*history, line]
            save_epoch(run, stage, replace(checkpoint, history=history))
            may_stop = bool(config.patience) and "decay_epochs" not in line
            epochs = stage_epochs(config, stage, history)
            run.print(summary(line, epochs, at_most=may_stop))
    except KeyboardInterrupt:
        run.print(f"stopped in epoch {epoch}; run the same command again to continue")
        raise
    store_thresholds(run, stage)


def _train_epoch(
    run: Run,
    model: StageModel,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage,
    cache: FeatureCache | None,
    history: History,
) -> dict[str, Any]:
    """Train on every photo once; return the epoch's line of the log, without held-out photos.

    `history` are the lines of the epochs before it.
    """
    config, stage, processes, epoch = run.config, model.stage, run.processes, len(history) + 1
    decay = find_decay(config, stage, history)
    examples = run.examples("train", stage, epoch=epoch)
    steps = shuffled_steps(run, stage, len(examples), epoch)
    torch.manual_seed(epoch_seed(config, stage, epoch, processes.rank))
    mean_losses, mean_norm = MeanValues(), MeanValues()
    model.set_training(True)
    model.clock.seconds.clear()
    read = read_steps(model, examples, steps, cache, f"{stage} {epoch} train")
    for number, (step, batches) in enumerate(read, start=(epoch - 1) * len(steps)):
        factor = rate_factor(config, stage, step=number, steps_per_epoch=len(steps), decay=decay)
        set_learning_rates(optimizer, factor)
        optimizer.zero_grad()
        losses = step_losses(model, step, batches)  # forward, matching, losses, backward
        _check_finite(losses["loss"].item(), batches, epoch)
        with model.clock("backward"):
            max_norm = config.clip_max_norm or float("inf")
            norm = nn.utils.clip_grad_norm_(model.trained_parameters, max_norm)
            optimizer.step()
            average.update(number)
        mean_losses.add(losses, weight=step.photos)
        mean_norm.add({"grad_norm": norm / processes.world}, weight=1)
    return {
        "stage": stage,
        "epoch": epoch,
        **({"flat_epochs": decay.start, "decay_epochs": decay.epochs} if decay else {}),
        **learning_rates(optimizer),
        **mean_norm.compute(processes),
        "train": mean_losses.compute(processes),
        "time": {part: round(seconds, 2) for part, seconds in model.clock.seconds.items()},
    }


@torch.no_grad()
def _held_out_losses(
    run: Run, model: StageModel, cache: FeatureCache | None, epoch: int
) -> dict[str, float]:
    """Return the mean losses over the photos that are not trained on; empty if there are none."""
    examples = run.examples(run.splits.held_out, model.stage, epoch=None)
    steps = steps_in_order(run, len(examples))
    mean_losses = MeanValues()
    model.set_training(False)
    read = read_steps(model, examples, steps, cache, f"{model.stage} {epoch} {run.splits.held_out}")
    for step, batches in read:
        mean_losses.add(step_losses(model, step, batches), weight=step.photos)
    return mean_losses.compute(run.processes)


def _check_finite(loss: float, batches: list[Batch], epoch: int) -> None:
    """Raise InputError if a step's loss is NaN or infinite."""
    if not math.isfinite(loss):
        names = ", ".join(target.file_name for batch in batches for target in batch.targets)
        raise InputError(
            f"epoch {epoch}: the loss became {loss} on {names}; the last checkpoint is kept; a"
            " lower lr may help (in another --run if an epoch is already finished)"
        )


def _last_checkpoint(run: Run, stage: Stage, boxes: Checkpoint | None) -> Checkpoint | None:
    """Return the checkpoint to continue from; None if the stage is new or must be restarted.

    The masks stage is restarted if its frozen box model has been trained further.
    """
    last = run.checkpoints.get(stage)
    run.processes.barrier()
    if last and boxes and last.trunk_epoch != boxes.epoch:
        run.print(
            "masks: restarted, because the box model has been trained beyond epoch"
            f" {last.trunk_epoch}"
        )
        last = None
    if last is None and run.processes.is_first:
        discard_stage(run, stage)
    return last


def _build_model(
    run: Run, stage: Stage, last: Checkpoint | None, boxes: Checkpoint | None
) -> StageModel:
    """Build the model of a stage with its initial weights, or those of its last checkpoint.

    Raises InputError if the run starts from weights of another backbone.
    """
    config = run.config
    torch.manual_seed(epoch_seed(config, stage, 0))
    initial = run.initial_weights if last is None else None
    pretrained = last is None and boxes is None and initial is None
    module = build_module(config, run.splits.classes, stage, pretrained=pretrained)
    if initial:
        copied = copy_weights(module, initial, run.splits.classes, trunk=boxes is None)
        run.print("\n".join(copied.lines()))
        if not copied.has_backbone:
            raise InputError(
                f"{copied.where}: expected weights of the configured `backbone`"
                f" {config.backbone}, found another backbone; set `backbone` to that of the weights"
            )
    model = prepare_model(module.to(run.processes.device), stage, config, run.processes)
    if boxes:
        load_strictly(model.detr, boxes.model, where=str(checkpoint_path(run.folder, "boxes")))
    if last:
        load_strictly(model.module, last.model, where=str(checkpoint_path(run.folder, stage)))
    return model


def _checkpoint(
    run: Run,
    model: StageModel,
    optimizer: torch.optim.Optimizer,
    unaveraged: dict[str, Tensor],
    epoch: int,
    boxes: Checkpoint | None,
) -> Checkpoint:
    """Copy the state at the end of an epoch, without the history."""
    return Checkpoint(
        stage=model.stage,
        epoch=epoch,
        model={n: value.detach().clone() for n, value in model.module.state_dict().items()},
        unaveraged=unaveraged,
        optimizer=state_by_name(optimizer, model.module),
        classes=run.splits.classes,
        config=run.config,
        data_digest=run.data_digest,
        trunk_epoch=boxes.epoch if boxes else epoch,
        history=[],
    )
