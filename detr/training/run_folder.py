"""A training run and its folder on disk: configuration, checkpoints, log, cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from shutil import rmtree

import msgspec

from base.counting import counted
from base.errors import InputError
from base.files import digest, naming_full_disk
from base.locks import working_on
from conversion.building.group_file import group_file_path
from detr.config import RunConfig, TrainConfig, check_same_run, read_run, write_run
from detr.data.examples import Examples
from detr.data.memory import PhotoMemory, fits_in_memory
from detr.data.splits import LEAST_PHOTOS, Split, Splits, hold_out, read_splits
from detr.training.feature_cache import folder_size
from detr.training.log import write_log, write_tensorboard
from detr.training.precision import has_bfloat16
from detr.training.processes import Processes
from detr.training.schedule import best_epoch, is_finished
from detr.training.stage_model import STAGES, Stage
from detr.weights.checkpoint import (
    Checkpoint,
    best_path,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
)
from detr.weights.init import InitialWeights, read_initial_weights
from evaluation.report.log import Epoch

OnEpoch = Callable[[Epoch], None]


@dataclass(frozen=True)
class Run:
    """An open run: the state that its stages share, and each stage's last checkpoint, if any."""

    folder: Path
    splits: Splits
    config: TrainConfig
    init: str | None
    data_digest: str
    processes: Processes
    checkpoints: dict[Stage, Checkpoint]
    memories: dict[Split, PhotoMemory] = field(default_factory=dict)
    on_epoch: OnEpoch | None = None  # called in the first process after every epoch

    @cached_property
    def initial_weights(self) -> InitialWeights | None:
        """The weights that the run starts from, or None; read when the first stage needs them.

        Raises InputError if they cannot be read.
        """
        return read_initial_weights(self.init) if self.init else None

    def print(self, text: str) -> None:
        """Print a message in the first process only."""
        if self.processes.is_first:
            print(text, flush=True)

    def examples(self, split: Split, stage: Stage, *, epoch: int | None) -> Examples:
        """Return the examples of a split; `epoch` is None for photos without augmentation."""
        examples = self.splits.examples(split, self.config)
        if split not in self.memories:
            # otherwise, they are read by workers, which last for one epoch, or from the cache
            reads_again = not self.config.num_workers and not self.config.cached_views
            fits = fits_in_memory(examples.panoptic, processes=self.processes.world)
            self.memories[split] = PhotoMemory(keeps=reads_again and fits)
        memory = self.memories[split]
        return replace(examples, epoch=epoch, with_masks=stage != "boxes", memory=memory)


def lock_run(folder: Path, processes: Processes) -> AbstractContextManager[object]:
    """Lock the run's folder. Raises BusyError, which names the process that has locked it."""
    if not processes.is_first:
        return nullcontext()
    return working_on(folder, "train", wait=False)


def open_run(
    panoptic: Path,
    folder: Path,
    config: RunConfig,
    stages: Sequence[Stage],
    processes: Processes,
    on_epoch: OnEpoch | None = None,
) -> Run:
    """Start a new run, or continue an existing one.

    Raises InputError if the run was started with other settings, on other data, or with stages that
    cannot be combined with `stages`.
    """
    config = _with_precision(folder, config, processes)
    splits = hold_out(read_splits(panoptic), config.train)
    groups = [group_file_path(panoptic)] if config.train.tune else []  # they select the photos
    data_digest = digest(panoptic / "manifest.json", *groups)
    paths = {stage: checkpoint_path(folder, stage) for stage in STAGES}
    checkpoints = {stage: load_checkpoint(path) for stage, path in paths.items() if path.exists()}
    shared = (folder, splits, config.train, config.init, data_digest, processes)
    run = Run(*shared, checkpoints, on_epoch=on_epoch)
    if checkpoints:  # settings may change until an epoch is finished
        check_same_run(folder, config, _epochs_done(run))
    _check_same_data(run)
    _check_stages(run, stages)
    processes.barrier()  # the first process writes only after all processes have read
    if processes.is_first:
        init = read_run(folder).init if checkpoints else config.init
        write_run(folder, replace(config, init=init))
        _write_log(run)  # the log is outdated if the run was killed after writing a checkpoint
    _warn_about_num_queries(run)
    _report_held_out(run)
    return run


def _with_precision(folder: Path, config: RunConfig, processes: Processes) -> RunConfig:
    """Replace the precision `auto` by the run's, or by what the first process supports."""
    if config.train.precision != "auto":
        return config
    if any(checkpoint_path(folder, stage).exists() for stage in STAGES):
        precision = read_run(folder).train.precision
    else:
        precision = "bfloat16" if has_bfloat16(processes.device.type) else "float32"
    train = replace(config.train, precision=processes.broadcast(precision))
    return replace(config, train=train)


def _epochs_done(run: Run) -> dict[str, int]:
    """Return the number of finished epochs for each setting in EPOCHS."""
    done = {
        # of a plateau schedule, the settings limit the epochs before the rates fall, and of a timed
        # one, they do not limit the epochs
        stage: int(checkpoint.history[-1].get("flat_epochs", checkpoint.epoch))
        for stage, checkpoint in run.checkpoints.items()
        if run.config.schedule != "timed"
    }
    boxes = max(done.get("boxes", 0), done.get("joint", 0))
    return {"epochs": boxes, "mask_epochs": done.get("masks", 0)}


def _check_same_data(run: Run) -> None:
    for checkpoint in run.checkpoints.values():
        if checkpoint.data_digest != run.data_digest:
            raise InputError(
                f"{run.folder}: started on a different build of {run.splits.folder} (data"
                f" {checkpoint.data_digest[:8]} -> {run.data_digest[:8]}); use another --run"
            )


def _check_stages(run: Run, stages: Sequence[Stage]) -> None:
    if len({stage == "joint" for stage in (*run.checkpoints, *stages)}) > 1:
        raise InputError(
            f"{run.folder}: has the stages {', '.join(run.checkpoints)}; the joint stage trains"
            " boxes and masks together and cannot be combined with other stages; use another --run"
        )


def _warn_about_num_queries(run: Run) -> None:
    """Print how many training photos have more segments than the model has queries.

    In `variant: fast`, only things are counted, because each stuff category has its own query.
    """
    train, only_things = run.splits.train, run.config.variant == "fast"
    noun = "things" if only_things else "segments"
    counted = {c.id for c in train.categories if c.isthing or not only_things}
    counts = [
        sum(s.category_id in counted and not s.iscrowd for s in photo.segments)
        for photo in train.photos
    ]
    crowded = [count for count in counts if count > run.config.num_queries]
    if crowded:
        run.print(
            f"training photos with more {noun} than num_queries {run.config.num_queries}:"
            f" {len(crowded):,} of {len(counts):,} (up to {max(crowded):,} {noun}); excess {noun}"
            " are not trained on"
        )


def _report_held_out(run: Run) -> None:
    """Print how many training photos are held out, or why there are none."""
    splits, tune = run.splits, run.config.tune
    if not splits.test.photos:
        run.print(
            f"{splits.folder}: has no test photos; to score the run on others, predict and evaluate"
            " them with --split"
        )
    if splits.tune is None:
        return
    if splits.tune is splits.val:
        run.print(
            "epochs and thresholds are selected on the split val"
            f" ({counted(len(splits.tune.photos), 'photo')}); no training photos are held out"
        )
        return
    held_out, total = len(splits.tune.photos), len(splits.tune.photos) + len(splits.train.photos)
    if not held_out:
        few = total < LEAST_PHOTOS
        reason = f"fewer than {LEAST_PHOTOS}" if few else "their groups are too large"
        run.print(
            f"tune {tune}: none of {total} training photos are held out ({reason}), so no epoch or"
            " threshold is selected; prediction uses the last epoch and the configured `threshold`"
        )
        return
    run.print(
        f"tune {tune}: {held_out} of {total} training photos are held out to select epochs and"
        " thresholds; the test photos are not read"
    )
    if not group_file_path(splits.folder).is_file():
        run.print(
            f"{group_file_path(splits.folder)}: missing, so photos of one group may be on both"
            " sides; convert the data set again to write it"
        )


def finished_boxes(run: Run) -> Checkpoint:
    """Return the checkpoint of the boxes stage. Raises InputError unless it is finished."""
    boxes = run.checkpoints.get("boxes")
    if boxes is None or not is_finished(run.config, "boxes", boxes.history):
        done = boxes.epoch if boxes else 0
        raise InputError(
            f"{run.folder}: the masks stage needs a trained box model, but only {done} of"
            f" {run.config.epochs} epochs are finished; train the boxes stage first"
        )
    return boxes


def save_epoch(run: Run, stage: Stage, checkpoint: Checkpoint) -> None:
    """Set a stage's last checkpoint; the first process also writes it and the log."""
    run.checkpoints[stage] = checkpoint
    if not run.processes.is_first:
        return
    path, line = checkpoint_path(run.folder, stage), checkpoint.history[-1]
    if line.get("scores") and best_epoch(checkpoint.history) == checkpoint.epoch:
        save_checkpoint(best_path(path), checkpoint)
    if run.config.keep_every and checkpoint.epoch % run.config.keep_every == 0:
        save_checkpoint(path.with_stem(f"{path.stem}-{checkpoint.epoch:04}"), checkpoint)
    # written before the checkpoint: if the run is killed in between, the epoch is trained again and
    # its numbers are replaced
    with naming_full_disk(run.folder / "tensorboard"):
        write_tensorboard(run.folder / "tensorboard", line)
    save_checkpoint(path, checkpoint)
    _write_log(run)
    if run.on_epoch is not None:
        run.on_epoch(msgspec.convert(line, Epoch))


def _write_log(run: Run) -> None:
    kept = [run.checkpoints[stage] for stage in STAGES if stage in run.checkpoints]
    write_log(run.folder / "log.jsonl", [line for each in kept for line in each.history])


def discard_stage(run: Run, stage: Stage) -> None:
    """Remove all files of a stage that is restarted, including its best and kept checkpoints."""
    path = checkpoint_path(run.folder, stage)
    for old in (path, *path.parent.glob(f"{path.stem}-*{path.suffix}")):
        old.unlink(missing_ok=True)
    rmtree(run.folder / "tensorboard" / stage, ignore_errors=True)


def remove_cache(run: Run) -> None:
    """Remove the feature cache, which can take gigabytes, at the end of training."""
    folder = run.folder / "cache"
    run.processes.barrier()
    if run.processes.is_first and folder.is_dir():
        run.print(f"{folder}: removed ({folder_size(folder) / 1e9:.2f} GB); training is complete")
        rmtree(folder)
