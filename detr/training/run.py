"""What a training run has on disk: its configuration, checkpoints and log."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree

from base.errors import InputError
from base.locks import locked
from base.parsing import write_yaml
from detr.config import RunConfig, TrainConfig, check_same_run, read_run
from detr.data.examples import Splits
from detr.training.features import folder_size
from detr.training.learner import Stage, has_bfloat16
from detr.training.log import write_log, write_tensorboard
from detr.training.processes import Processes
from detr.training.schedule import best_epoch, stage_epochs, stopped_early
from detr.training.stage import STAGES
from detr.weights.checkpoint import Checkpoint, checkpoint_path, load_checkpoint, save_checkpoint

Begun = dict[Stage, Checkpoint]


@dataclass(frozen=True)
class Job:
    """What all stages of one call of `train` share."""

    splits: Splits
    run: Path
    config: TrainConfig
    init: str | None
    data_digest: str
    processes: Processes

    def say(self, text: str) -> None:
        """Print, once for all processes."""
        if self.processes.first:
            print(text, flush=True)


def held(run: Path, processes: Processes) -> AbstractContextManager[object]:
    """The run, for this training only; InputError where another one is at work on it."""
    if not processes.first:
        return nullcontext()
    return locked(run / ".lock", busy=f"{run}: another `train` is working on this run")


def with_precision(run: Path, config: RunConfig, processes: Processes) -> RunConfig:
    """The configuration with `auto` decided: as the run began, or by what the first process has."""
    if config.train.precision != "auto":
        return config
    if any(checkpoint_path(run, stage).exists() for stage in STAGES):
        precision = read_run(run).train.precision
    else:
        precision = "bfloat16" if has_bfloat16(processes.device.type) else "float32"
    train = replace(config.train, precision=processes.told(precision))
    return replace(config, train=train)


def begin(job: Job, config: RunConfig, stages: Iterable[Stage]) -> Begun:
    """Check that the run is new or the same as before; its checkpoints."""
    paths = {stage: checkpoint_path(job.run, stage) for stage in STAGES}
    begun = {stage: load_checkpoint(path) for stage, path in paths.items() if path.exists()}
    if begun:  # a run that never finished an epoch has nothing that other values would spoil
        check_same_run(job.run, config, _done(begun))
    for checkpoint in begun.values():
        if checkpoint.data_digest != job.data_digest:
            raise InputError(
                f"{job.run}: was begun on another build of {job.splits.folder} (data"
                f" {checkpoint.data_digest[:8]} -> {job.data_digest[:8]}); use another --run"
            )
    if len({stage == "joint" for stage in (*begun, *stages)}) > 1:
        raise InputError(
            f"{job.run}: has the stages {', '.join(begun)}; the stage joint trains boxes and masks"
            " at once and goes with no other; use another --run"
        )
    job.processes.wait()  # until all have read, before anything is written
    if job.processes.first:
        init = read_run(job.run).init if begun else config.init
        write_yaml(job.run / "config.yaml", replace(config, init=init))
        _write_log(job, begun)  # a kill may have come between the checkpoint and the log
    _warn_crowded(job)
    return begun


def finished(config: TrainConfig, checkpoint: Checkpoint) -> bool:
    """Whether a stage is trained to its last epoch, or stopped early."""
    done = checkpoint.epoch >= stage_epochs(config, checkpoint.stage)
    return done or stopped_early(config, checkpoint.history)


def trained_boxes(job: Job, begun: Begun) -> Checkpoint:
    """The finished boxes stage; InputError where it is not."""
    boxes = begun.get("boxes")
    if boxes is None or not finished(job.config, boxes):
        done = boxes.epoch if boxes else 0
        raise InputError(
            f"{job.run}: masks need trained boxes, and {done} of {job.config.epochs} epochs are"
            " done; train the stage boxes first"
        )
    return boxes


def save(job: Job, stage: Stage, begun: Begun) -> None:
    """Write the last epoch of a stage; before it what of it is kept longer, after it the log."""
    checkpoint, path = begun[stage], checkpoint_path(job.run, stage)
    scored = bool(checkpoint.history[-1].get("scores"))
    if scored and best_epoch(checkpoint.history) == checkpoint.epoch:
        save_checkpoint(_variant(path, "best"), checkpoint)
    if job.config.keep_every and checkpoint.epoch % job.config.keep_every == 0:
        save_checkpoint(_variant(path, f"{checkpoint.epoch:04}"), checkpoint)
    # before the checkpoint: after a kill an epoch that stands here too early is written over
    write_tensorboard(job.run / "tensorboard", checkpoint.history[-1])
    save_checkpoint(path, checkpoint)
    _write_log(job, begun)


def forget(job: Job, stage: Stage) -> None:
    """Remove a stage that is to start again, its best and kept epochs included."""
    path = checkpoint_path(job.run, stage)
    for old in (path, *path.parent.glob(f"{path.stem}-*{path.suffix}")):
        old.unlink(missing_ok=True)
    rmtree(job.run / "tensorboard" / stage, ignore_errors=True)


def remove_cache(job: Job) -> None:
    """All stages are done: what was computed once for them takes gigabytes."""
    folder = job.run / "cache"
    job.processes.wait()
    if job.processes.first and folder.is_dir():
        job.say(f"{folder}: removed, {folder_size(folder) / 1e9:.2f} GB; all is trained")
        rmtree(folder)


def _variant(path: Path, word: str) -> Path:
    return path.with_stem(f"{path.stem}-{word}")


def _done(begun: Begun) -> dict[str, int]:
    """Epochs done, by the setting that limits them."""
    boxes = [begun[stage].epoch for stage in begun if stage != "masks"]
    masks = [begun[stage].epoch for stage in begun if stage == "masks"]
    return {"epochs": max(boxes, default=0), "mask_epochs": max(masks, default=0)}


def _write_log(job: Job, begun: Begun) -> None:
    lines = [line for stage in STAGES if stage in begun for line in begun[stage].history]
    write_log(job.run / "log.jsonl", lines)


def _warn_crowded(job: Job) -> None:
    """Say once how many training photos have more segments than the model has queries."""
    counts = [sum(not s.iscrowd for s in p.segments) for p in job.splits.train.photos]
    crowded = [count for count in counts if count > job.config.num_queries]
    if crowded:
        job.say(
            f"{len(crowded)} training photos have more segments than num_queries"
            f" {job.config.num_queries} (at most {max(crowded)}); what is too many is not learnt"
        )
