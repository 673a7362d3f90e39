"""The configuration of training, with DETR's published names and defaults.

This module does not import torch: the command line checks a configuration before anything slow is
loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import msgspec

from base.errors import InputError, nearest
from base.parsing import read_yaml, write_yaml
from detr.limits import check_ranges

BACKBONES = ("efficientnet_lite0", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
NARROW_BACKBONES = ("resnet18", "resnet34")  # with a quarter of the channels of larger ResNets
EPOCHS = ("epochs", "mask_epochs")  # a run can be extended by raising these
# when a run is continued
MAY_CHANGE = ("num_workers", "score_every", "keep_every", "patience", "train_time")
CHOICES = {
    "variant": ("detr", "fast"),
    "backbone": BACKBONES,
    "position_embedding": ("sine", "learned"),
    "schedule": ("step", "cosine", "flat_cosine", "plateau", "timed"),
    "precision": ("auto", "float32", "bfloat16"),
}


@dataclass(frozen=True)
class TrainConfig:
    """The settings in `train.yaml`, which `--set KEY=VALUE` overrides. Sizes are in pixels.

    Raises ValueError if a value is out of range.
    """

    # schedule; RUN/config.yaml lists the settings in this order
    lr: float = 1e-4  # learning rate of everything except the backbone
    lr_backbone: float = 1e-5  # learning rate of the backbone; 0 freezes it
    batch_size: int = 2  # photos per batch in each process
    accumulate: int = 1  # batches per step; 2 has the effect of doubling batch_size
    weight_decay: float = 1e-4
    epochs: int = 300  # of the boxes stage, or of the joint stage
    # of the learning rates; "cosine" lowers them to 0 over all epochs, "flat_cosine" to a fiftieth
    # over the second half of all epochs; "plateau" does the same after `patience` epochs without
    # improvement, or else after `epochs`, over half as many further epochs; "timed" does the same
    # over all epochs that fit into `train_time`, from the measured time of the finished ones
    schedule: str = "step"
    train_time: float = 0.0  # seconds of all epochs of a stage, with the timed schedule
    lr_drop: int = 200  # epochs between divisions of the rates by 10, with the step schedule
    warmup_steps: int = 0  # steps over which the rates rise from 0 to their full value
    mask_epochs: int = 25  # of the masks stage
    mask_lr_drop: int = 15  # lr_drop of the masks stage
    mask_lr: float = 1e-4  # learning rate of the masks stage
    clip_max_norm: float = 0.1  # maximum norm of the gradient; 0 disables clipping
    # decay of the moving average of the weights, which covers about 1 / (1 - ema_decay) steps and
    # is then used for testing and prediction; 0 disables averaging
    ema_decay: float = 0.0
    score_every: int = 10  # epochs between scorings of held-out photos; 0 disables scoring
    # epochs without a better score or held-out loss that end a stage, or the flat part of a plateau
    # schedule; 0: never
    patience: int = 0
    # fraction of the training photos, by group, that are held out to select epochs and thresholds,
    # so that the test photos are not used in training at all; 0: the test photos select epochs. If
    # the set has a split `val`, its photos are used instead.
    tune: float = 0.0
    keep_every: int = 0  # epochs between checkpoints that are kept; 0 keeps only last and best
    seed: int = 42
    num_workers: int = 2  # processes that read photos; 0 reads them in the training process
    # "bfloat16" or "float32"; "auto" is bfloat16 if the GPU or the processor supports it. A run
    # keeps the precision that it was started with.
    precision: str = "auto"
    compile: bool = False  # compile the box model with torch.compile, which takes minutes

    # model
    backbone: str = "resnet50"  # efficientnet_lite0, or resnet18, 34, 50, 101, 152
    dilation: bool = False  # last stage of the backbone at stride 16 instead of 32 (DC5)
    position_embedding: str = "sine"  # or "learned"
    enc_layers: int = 6  # of the transformer's encoder
    dec_layers: int = 6  # of the transformer's decoder
    dim_feedforward: int = 2048  # hidden width of the transformer's feed-forward layers
    hidden_dim: int = 256  # width of the transformer
    dropout: float = 0.1
    nheads: int = 8  # attention heads
    num_queries: int = 100  # maximum number of segments that can be predicted in a photo
    pre_norm: bool = False  # layer norm before attention and feed-forward layers, not after them

    # matching and losses
    aux_loss: bool = True  # losses after every decoder layer, not only after the last
    set_cost_class: float = 1  # weight of the class probability in matching
    set_cost_bbox: float = 5  # weight of the L1 distance of boxes in matching
    set_cost_giou: float = 2  # weight of the generalised IoU of boxes in matching
    mask_loss_coef: float = 1  # weight of the focal loss of masks
    dice_loss_coef: float = 1  # weight of the dice loss of masks
    bbox_loss_coef: float = 5  # weight of the L1 loss of boxes
    giou_loss_coef: float = 2  # weight of the generalised IoU loss of boxes
    eos_coef: float = 0.1  # weight of the no-object class in the classification loss

    # photos
    min_size: int = 800  # length of the shorter side in testing and prediction
    max_size: int = 1333  # maximum length of the longer side, which takes precedence
    # lengths of the shorter side in training; one is chosen at random for each photo and epoch
    train_sizes: tuple[int, ...] = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)
    flip: bool = True  # mirror half of the training photos
    crop: float = 0.5  # fraction of training photos that are randomly cropped
    photometric: float = 0.1  # maximum relative change of brightness, contrast and saturation
    # number of random views per photo for which the outputs of frozen parts are cached on disk; 0
    # disables the cache
    cached_views: int = 0

    # prediction
    threshold: float = 0.85  # minimum score of a predicted segment

    # variant
    # "detr", the published model, or "fast"; only "fast" reads the settings below, and ONLY_DETR
    # lists the settings that only "detr" reads
    variant: str = "detr"
    deformable: bool = True  # cross-attention samples points around each box, not all locations
    lr_muon: float = 0.0  # learning rate of hidden matrices, with Muon; 0 trains them with AdamW
    set_cost_mask: float = 2  # weight of the cross entropy and dice loss of masks in matching
    semantic_loss_coef: float = 1  # weight of the cross entropy of the pixel classes
    zoom: tuple[float, float] = (0.75, 1.5)  # range of the random scale of a training photo
    stretch: float = 0.15  # maximum relative change of the scale of each side of a training photo
    # size of photos in testing and prediction, relative to `min_size` and `max_size`, which are
    # then the size of training: steps on smaller photos take less time, larger photos give finer
    # masks
    test_scale: float = 1.0

    def __post_init__(self) -> None:
        check_ranges(self)
        _check_choices(self)
        _check_variant(self)


def _check_choices(config: TrainConfig) -> None:
    for key, known in CHOICES.items():
        value = getattr(config, key)
        if value not in known:
            raise ValueError(f"{key}: unknown value '{value}'{nearest(value, known)}")
    if not config.tune <= 0.5:
        raise ValueError(f"tune: expected 0 to 0.5, found {config.tune}")
    if config.schedule == "plateau" and not config.patience:
        raise ValueError("patience: expected more than 0 with `schedule: plateau`, found 0")
    if (config.schedule == "timed") != bool(config.train_time):
        raise ValueError(
            "train_time: expected more than 0 with `schedule: timed`, and 0 with the others, found"
            f" {config.train_time:g}"
        )
    if config.ema_decay == 1:
        raise ValueError(
            "ema_decay: expected less than 1, found 1, at which the average would never change"
        )
    if config.hidden_dim % 128 or config.hidden_dim % config.nheads or config.nheads % 8:
        raise ValueError(
            "hidden_dim and nheads: expected multiples of 128 and 8, and hidden_dim divisible by"
            f" nheads, found {config.hidden_dim} and {config.nheads}"
        )
    low, high = config.zoom
    if not 0 < low <= high < float("inf"):
        raise ValueError(f"zoom: expected two rising numbers above 0, found {list(config.zoom)}")


# Settings that only one of the variants reads
ONLY_DETR = frozenset(
    ("dilation", "position_embedding", "pre_norm", "eos_coef", "compile", "cached_views", "crop")
) | {"mask_epochs", "mask_lr", "mask_lr_drop", "train_sizes"}
ONLY_FAST = frozenset(("deformable", "set_cost_mask", "semantic_loss_coef", "zoom", "stretch")) | {
    "lr_muon",
    "test_scale",
}


def _check_variant(config: TrainConfig) -> None:
    """Raise ValueError if a setting that the variant does not read differs from its default."""
    others = ONLY_DETR if config.variant == "fast" else ONLY_FAST
    other = "detr" if config.variant == "fast" else "fast"
    found = [
        f.name for f in fields(config) if f.name in others and getattr(config, f.name) != f.default
    ]
    if found:
        raise ValueError(
            f"{', '.join(found)}: expected the default, because `variant: {config.variant}` does"
            f" not read this; remove it, or set `variant: {other}`"
        )


# The defaults of `variant: fast` that differ from the published ones
FAST: Mapping[str, Any] = {
    "variant": "fast",
    "backbone": "efficientnet_lite0",
    "lr": 1e-3,
    "lr_backbone": 1e-4,
    "lr_muon": 4e-3,
    "batch_size": 4,
    "epochs": 30,
    "schedule": "flat_cosine",
    "clip_max_norm": 1.0,
    "warmup_steps": 100,
    "ema_decay": 0.998,
    "tune": 0.1,
    "enc_layers": 1,  # on the coarsest level of the pyramid
    "dec_layers": 3,
    "dim_feedforward": 512,
    "hidden_dim": 128,
    "dropout": 0.0,
    "num_queries": 40,  # of things; each stuff category has one more query
    "set_cost_class": 2.0,
    "mask_loss_coef": 5.0,  # of the cross entropy, which replaces the focal loss
    "dice_loss_coef": 5.0,
    "min_size": 384,
    "max_size": 640,
    "photometric": 0.3,
    "threshold": 0.2,
    "test_scale": 1.2,
}


@dataclass(frozen=True)
class RunConfig:
    """The content of `RUN/config.yaml`: the data set and the settings of a run."""

    dataset: str
    train: TrainConfig
    init: str | None = None  # the initial weights
    time: float | None = None  # seconds that the training was asked to take in all
    chosen: Mapping[str, str] = field(default_factory=dict)  # reason by chosen setting


def read_run(run: Path) -> RunConfig:
    """Read `RUN/config.yaml`; the path of the data set is made absolute.

    Raises InputError if the run was never started.
    """
    path = run / "config.yaml"
    if not path.is_file():
        raise InputError(f"{path}: missing; '{run}' is not a training run (train one first)")
    config = read_yaml(path, RunConfig)
    config = replace(config, dataset=os.path.normpath(run.resolve() / config.dataset))
    if config.train.precision == "auto":  # from a version that did not resolve "auto"
        config = replace(config, train=replace(config.train, precision="float32"))
    return config


def write_run(run: Path, config: RunConfig) -> None:
    """Write `RUN/config.yaml`.

    The path of the data set is relative to the run, so that both can be moved together, unless the
    root folder is all that they have in common.
    """
    dataset, folder = Path(config.dataset).resolve(), run.resolve()
    shared = os.path.commonpath([dataset, folder])
    path = str(dataset) if shared == dataset.anchor else os.path.relpath(dataset, folder)
    write_yaml(run / "config.yaml", replace(config, dataset=path))


def check_same_run(run: Path, wanted: RunConfig, done: dict[str, int]) -> None:
    """Raise InputError, listing all differences, if a run was started with other settings.

    `done` holds the number of finished epochs for each setting in EPOCHS: its lowest valid value.
    A data set that is no longer where it was counts as moved.
    """
    started = read_run(run)
    old, new = msgspec.to_builtins(started.train), msgspec.to_builtins(wanted.train)
    before, now = Path(started.dataset), Path(wanted.dataset).resolve()
    same = before.resolve() == now or not before.exists()
    found = [f"dataset: {started.dataset} -> {wanted.dataset}"] * (not same)
    if wanted.init not in (None, started.init):
        found.append(f"init: {started.init} -> {wanted.init}")
    for key in EPOCHS:
        if new[key] < done.get(key, 0):
            found.append(f"{key}: {done[key]} finished -> {new[key]}")
    for key in old:
        if old[key] != new[key] and key not in (*EPOCHS, *MAY_CHANGE):
            found.append(f"{key}: {old[key]} -> {new[key]}")
    if found:
        changes = "; ".join(found)
        raise InputError(f"{run}: started with other settings ({changes}); use another --run")
