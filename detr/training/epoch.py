"""One epoch: every training photo is learnt once, then the test photos are judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from base.errors import InputError
from base.progress import track
from detr.data.examples import Batch, Examples
from detr.data.loader import Step, batches, plan
from detr.losses.criterion import Losses
from detr.training.average import Average
from detr.training.features import ViewCache
from detr.training.learner import Learner, Stage
from detr.training.log import Means
from detr.training.optimizer import rates, set_rates
from detr.training.run import Job
from detr.training.schedule import rate_factor, stage_epochs
from detr.training.scoring import box_scores, panoptic_scores
from detr.training.stage import epoch_seed, set_training, step_losses, total_loss
from detr.weights.checkpoint import Checkpoint


@dataclass(frozen=True)
class Training:
    """One stage in training: the model, and what changes it."""

    job: Job
    learner: Learner
    optimizer: torch.optim.Optimizer
    average: Average | None
    cache: ViewCache | None

    @property
    def stage(self) -> Stage:
        return self.learner.stage


def learn(training: Training, epoch: int) -> dict[str, Any]:
    """Train on every training photo once; the first part of a line of the log."""
    job, learner = training.job, training.learner
    examples = replace(_examples(training, "train"), epoch=epoch)
    steps = _shuffled(training, len(examples), epoch)
    losses_seen, norms = Means(), Means()
    set_training(learner, True)
    learner.clock.seconds.clear()
    reading = _read(training, examples, steps, f"{training.stage} {epoch} train")
    for number, (step, read) in enumerate(reading, start=(epoch - 1) * len(steps)):
        factor = rate_factor(job.config, training.stage, step=number, steps_an_epoch=len(steps))
        set_rates(training.optimizer, factor)
        losses, norm = _take_step(training, step, read, number=number, epoch=epoch)
        losses_seen.add(losses, weight=step.photos)
        norms.add({"grad_norm": norm / job.processes.world}, weight=1)

    return {
        "stage": training.stage,
        "epoch": epoch,
        **rates(training.optimizer),
        **norms.values(job.processes),
        "train": losses_seen.values(job.processes),
        "time": {part: round(seconds, 2) for part, seconds in learner.clock.seconds.items()},
    }


def _shuffled(training: Training, photos: int, epoch: int) -> list[Step]:
    """The steps of an epoch, in the order of its seed; what is drawn later is seeded, too."""
    config, processes = training.job.config, training.job.processes
    seed = epoch_seed(config, training.stage, epoch)
    order = torch.randperm(photos, generator=torch.Generator().manual_seed(seed)).tolist()
    torch.manual_seed(epoch_seed(config, training.stage, epoch, processes.rank))
    return plan(order, config, rank=processes.rank, world=processes.world)


def _take_step(
    training: Training, step: Step, read: list[Batch], *, number: int, epoch: int
) -> tuple[Losses, Tensor]:
    """One step of the optimiser; its losses with their total, and the length of its gradient."""
    training.optimizer.zero_grad()
    losses = step_losses(training.learner, step, read)
    total = total_loss(losses, training.stage)
    _check_finite(total.item(), read, epoch)
    with training.learner.clock("backward"):
        norm = nn.utils.clip_grad_norm_(
            [p for p in training.learner.model.parameters() if p.requires_grad],
            training.job.config.clip_max_norm or float("inf"),
        )
        training.optimizer.step()
        if training.average:
            training.average.update(number)
    return {"loss": total, **losses}, norm


@torch.no_grad()
def test(training: Training, epoch: int) -> dict[str, float]:
    """Means of the losses over the test photos."""
    job, processes = training.job, training.job.processes
    examples = _examples(training, "test")
    steps = plan(range(len(examples)), job.config, rank=processes.rank, world=processes.world)
    tested = Means()
    set_training(training.learner, False)
    for step, read in _read(training, examples, steps, f"{training.stage} {epoch} test"):
        losses = step_losses(training.learner, step, read)
        total = total_loss(losses, training.stage)
        tested.add({"loss": total, **losses}, weight=step.photos)
    return tested.values(processes)


def score(training: Training, checkpoint: Checkpoint) -> dict[str, dict[str, float]]:
    """Scores on the test photos, where they are due: at an interval, and at the end."""
    job, every = training.job, training.job.config.score_every
    last = checkpoint.epoch == stage_epochs(job.config, training.stage)
    due = every and (checkpoint.epoch % every == 0 or last) and job.splits.test.photos
    scores: dict[str, float] = {}
    if due and job.processes.first:
        if training.stage == "boxes":
            examples = _examples(training, "test")
            steps = plan(range(len(examples)), job.config)
            read = _read(training, examples, steps, "score")
            found = (batch for _, each in read for batch in each)
            scores = box_scores(training.learner, found, job.splits.test, job.splits.classes)
        else:
            truth = job.splits.test.json_path
            folder = job.run / "checkpoints"
            scores = panoptic_scores(checkpoint, truth, job.splits.folder / "test", folder=folder)
    if due:
        scores = job.processes.told(scores)
    return {"scores": scores} if due else {}


def _check_finite(total: float, read: list[Batch], epoch: int) -> None:
    if total - total != 0:  # neither for NaN nor for infinity
        names = ", ".join(target.file_name for batch in read for target in batch.targets)
        raise InputError(
            f"epoch {epoch}: the loss became {total} on {names}; the last checkpoint is kept,"
            " a lower lr may help (in another --run, once an epoch is done)"
        )


def _examples(training: Training, split: str) -> Examples:
    examples = training.job.splits.examples(split, training.job.config)
    return replace(examples, with_masks=training.stage != "boxes")


def _read(
    training: Training, examples: Examples, steps: Sequence[Step], title: str
) -> Iterator[tuple[Step, list[Batch]]]:
    """Each step with its batches, from the cache or from disk, with a progress bar."""
    cuts = [cut for step in steps for cut in step.batches]
    cache = training.cache
    read = cache.batches(examples, cuts) if cache else batches(examples, cuts)
    timed = training.learner.clock.reading(read)
    shown = track(steps, title) if training.job.processes.first else steps
    for step in shown:
        yield step, list(islice(timed, len(step.batches)))
