"""The training of a peer of `benchmarks.learning`, for a given time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import monotonic

import torch
from torch import nn

from base.durations import duration
from benchmarks.learning_peers import Peer
from detr.config import TrainConfig
from detr.data.batch import Batch
from detr.data.examples import Examples
from detr.data.loader import plan_steps, read_batches
from detr.data.memory import PhotoMemory, fits_in_memory
from detr.data.padded import Padded
from detr.data.splits import Splits
from detr.training.average import WeightAverage
from detr.training.precision import autocast

BACKBONE_FACTOR = 0.1  # of the learning rate, as published for both peers and used for ours
LINE_SECONDS = 20  # between lines about the progress


@dataclass(frozen=True)
class Trained:
    """A trained peer, with the averages of its weights, and how it got there."""

    model: nn.Module
    steps: int
    seconds: float  # of all steps, with reading photos
    losses: tuple[float, ...]  # mean of each tenth of the steps


def train_peer(
    peer: Peer, splits: Splits, config: TrainConfig, *, rate: float, seconds: float
) -> Trained:
    """Train a peer on the training photos for `seconds`, which start with the first step.

    Photos, views, colours, batches, seed, precision and the decay of the weight average are those
    of `config`, the configuration of our run.
    """
    torch.manual_seed(config.seed)
    model = peer.build(config, splits.classes).train()
    optimizer = _optimizer(peer, model, rate)
    average = WeightAverage(model, config.ema_decay)
    trained = [p for p in model.parameters() if p.requires_grad]
    losses: list[float] = []
    keeps = fits_in_memory(splits.train) and not config.num_workers  # as our trainer does
    memory = PhotoMemory(keeps=keeps)
    examples = replace(splits.examples("train", config), memory=memory)
    start = last_line = monotonic()
    for step, batch in enumerate(_batches(examples, config)):
        taken = monotonic() - start
        if taken >= seconds:
            break
        for group in optimizer.param_groups:
            group["lr"] = group["full_lr"] * peer.rate_factor(taken / seconds)
        optimizer.zero_grad()
        assert isinstance(batch.inputs, Padded)
        with autocast("cpu", config.precision):
            loss = peer.loss(model, batch.inputs.values, batch.targets, splits.classes)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(trained, peer.clip_max_norm)
        optimizer.step()
        average.update(step)
        losses.append(loss.item())
        if monotonic() - last_line > LINE_SECONDS:
            last_line = monotonic()
            print(_line(peer, rate, losses, taken, seconds), flush=True)
    seconds = monotonic() - start
    with torch.no_grad(), average.applied():
        state = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    return Trained(model.eval(), len(losses), seconds, _tenths(losses))


def _optimizer(peer: Peer, model: nn.Module, rate: float) -> torch.optim.AdamW:
    """Build AdamW; as published, norms and biases have no weight decay."""
    groups = []
    for in_backbone in (False, True):
        for decays in (False, True):
            own = [
                parameter
                for name, parameter in model.named_parameters()
                if parameter.requires_grad
                and (".body." in name) == in_backbone
                and (parameter.dim() > 1) == decays
            ]
            full = rate * (BACKBONE_FACTOR if in_backbone else 1)
            decay = peer.weight_decay if decays else 0.0
            groups.append({"params": own, "lr": full, "full_lr": full, "weight_decay": decay})
    return torch.optim.AdamW([group for group in groups if group["params"]], fused=True)


def _batches(examples: Examples, config: TrainConfig) -> Iterator[Batch]:
    """Yield the batches of epoch 1, 2, 3, ..., each in a random order."""
    epoch = 0
    while True:
        epoch += 1
        order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(epoch))
        steps = plan_steps(order.tolist(), replace(config, accumulate=1))
        yield from read_batches(
            replace(examples, epoch=epoch), [batch for step in steps for batch in step.batches]
        )


def _line(peer: Peer, rate: float, losses: list[float], taken: float, seconds: float) -> str:
    recent = losses[-20:]
    return (
        f"{peer.name}, rate {rate:g}: {len(losses)} steps, {duration(taken)} of"
        f" {duration(seconds)}, loss {sum(recent) / len(recent):.2f}"
    )


def _tenths(losses: list[float]) -> tuple[float, ...]:
    """Return the mean of each tenth of the losses, or of each step if there are fewer."""
    size = max(1, len(losses) // 10)
    parts = [losses[first : first + size] for first in range(0, len(losses), size)]
    return tuple(round(sum(part) / len(part), 3) for part in parts)
