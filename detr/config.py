"""Everything that decides a training, with DETR's published names and defaults.

No torch here: the command line reads and checks a configuration before anything heavy loads.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec
import yaml

from base.errors import InputError, nearest
from base.parsing import parse, read_yaml

BACKBONES = ("efficientnet_lite0", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
EPOCHS = ("epochs", "mask_epochs")  # a run may be trained for longer than it first was
# change no number that is trained
MAY_CHANGE = ("num_workers", "score_every", "keep_every", "patience")
CHOICES = {
    "variant": ("detr", "fast"),
    "backbone": BACKBONES,
    "position_embedding": ("sine", "learned"),
    "schedule": ("step", "cosine"),
    "precision": ("auto", "float32", "bfloat16"),
}


@dataclass(frozen=True)
class TrainConfig:
    """`train.yaml`; sizes in pixels."""

    # schedule
    lr: float = 1e-4  # of everything but the backbone
    lr_backbone: float = 1e-5  # 0 freezes the backbone
    batch_size: int = 2  # photos that a process computes at once
    accumulate: int = 1  # batches a step: as if batch_size were so many times as large
    weight_decay: float = 1e-4
    epochs: int = 300  # of the boxes stage, or of the stage joint
    schedule: str = "step"  # or "cosine": down to 0 over all epochs
    lr_drop: int = 200  # step: the rates fall to a tenth after so many epochs
    warmup_steps: int = 0  # steps over which the rates rise from 0
    mask_epochs: int = 25  # of the masks stage
    mask_lr_drop: int = 15
    mask_lr: float = 1e-4  # of the mask head
    clip_max_norm: float = 0.1  # longest gradient; 0 leaves gradients as they are
    ema_decay: float = 0.0  # averages the weights over about 1 / (1 - this) steps; 0: does not
    score_every: int = 10  # epochs from one scoring on the test photos to the next; 0: never
    patience: int = 0  # a stage ends after so many epochs without a better score; 0: never
    keep_every: int = 0  # epochs of which a checkpoint of its own is kept; 0: none
    seed: int = 42
    num_workers: int = 2  # processes that read photos; 0 reads in the training process
    precision: str = "auto"  # "bfloat16" where GPU or processor has it, else "float32"; of a begun
    # run what it began with
    compile: bool = False  # torch.compile for the box model while it is trained; takes minutes

    # model
    backbone: str = "resnet50"
    dilation: bool = False  # last stage at stride 16 instead of 32
    position_embedding: str = "sine"  # or "learned"
    enc_layers: int = 6
    dec_layers: int = 6
    dim_feedforward: int = 2048
    hidden_dim: int = 256
    dropout: float = 0.1
    nheads: int = 8
    num_queries: int = 100  # most segments that one photo can have
    pre_norm: bool = False

    # matching and losses
    aux_loss: bool = True  # losses after every decoder layer
    set_cost_class: float = 1
    set_cost_bbox: float = 5
    set_cost_giou: float = 2
    mask_loss_coef: float = 1
    dice_loss_coef: float = 1
    bbox_loss_coef: float = 5
    giou_loss_coef: float = 2
    eos_coef: float = 0.1  # weight of no-object in the classification loss

    # photos
    min_size: int = 800  # shorter side when testing and predicting ...
    max_size: int = 1333  # ... unless the longer side would be above this
    train_sizes: tuple[int, ...] = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)
    flip: bool = True  # mirror half of the training photos
    crop: float = 0.5  # share of training photos of which only a random part is seen
    photometric: float = 0.1  # brightness, contrast, saturation change by up to this share
    # random views of each photo in which what frozen parts compute is kept on disk; 0: no cache
    cached_views: int = 0

    # predictions
    threshold: float = 0.85  # least score of a predicted segment

    # variant
    variant: str = "detr"  # the published model, or "fast"; the keys below are read by fast only
    deformable: bool = True  # decoder layers sample a few points around each box, else all places
    set_cost_mask: float = 2
    semantic_loss_coef: float = 1  # of the class of every pixel

    def __post_init__(self) -> None:
        _check_ranges(self)
        _check_choices(self)


def _check_ranges(config: TrainConfig) -> None:
    positive = {
        *("batch_size", "epochs", "lr_drop", "mask_epochs", "mask_lr_drop", "lr", "mask_lr"),
        *("enc_layers", "dec_layers", "dim_feedforward", "hidden_dim", "nheads", "num_queries"),
        *("min_size", "max_size", "accumulate"),
    }
    shares = {"dropout", "eos_coef", "crop", "photometric", "threshold", "ema_decay"}
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name in positive and not value > 0:
            raise ValueError(f"{field.name}: expected more than 0, got {value}")
        if field.name in shares and not 0 <= value <= 1:
            raise ValueError(f"{field.name}: expected 0 to 1, got {value}")
        if isinstance(value, int | float) and not 0 <= value < float("inf"):
            raise ValueError(f"{field.name}: expected 0 or more, got {value}")


def _check_choices(config: TrainConfig) -> None:
    for key, known in CHOICES.items():
        got = getattr(config, key)
        if got not in known:
            raise ValueError(f"{key}: '{got}' is unknown{nearest(got, known)}")
    if config.ema_decay == 1:
        raise ValueError("ema_decay: expected less than 1, got 1: the weights would never move")
    if config.hidden_dim % 128 or config.hidden_dim % config.nheads or config.nheads % 8:
        raise ValueError(
            "hidden_dim and nheads: expected multiples of 128 and 8 (the mask head normalises in"
            f" groups of 8), got {config.hidden_dim} and {config.nheads}"
        )
    if not config.train_sizes or min(config.train_sizes) <= 0:
        raise ValueError(f"train_sizes: expected sizes above 0, got {list(config.train_sizes)}")


@dataclass(frozen=True)
class RunConfig:
    """`RUN/config.yaml`: what a run was trained on, and how."""

    dataset: str
    train: TrainConfig
    init: str | None = None  # weights that the first epoch started from


def load_config(path: Path | None, overrides: list[str]) -> TrainConfig:
    """Read `train.yaml` (None: the defaults) and apply "key=value" overrides."""
    config = TrainConfig() if path is None else read_yaml(path, TrainConfig)
    values = msgspec.to_builtins(config)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise InputError(f"{override}: expected key=value")
        values[key.strip()] = _value(text, where=key)
    return parse(TrainConfig, values, where="--set") if overrides else config


def _value(text: str, *, where: str) -> Any:
    """Read one value as YAML; also 1e-4, which YAML 1.1 takes for a word."""
    try:
        return float(text) if "e" in text.lower() else yaml.safe_load(text)
    except ValueError:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"{where}: '{text}' is no value") from None


def read_run(run: Path) -> RunConfig:
    """Read `RUN/config.yaml`; InputError where the run was never started."""
    path = run / "config.yaml"
    if not path.is_file():
        raise InputError(f"{path}: missing; '{run}' is no run (train one first)")
    config = read_yaml(path, RunConfig)
    if config.train.precision == "auto":  # as begun before runs said what it meant
        config = replace(config, train=replace(config.train, precision="float32"))
    return config


def check_same_run(run: Path, wanted: RunConfig, done: dict[str, int]) -> None:
    """InputError naming every key in which a begun run differs from what is asked for.

    `done` has the epochs that are done by the key that limits them: fewer cannot be asked for.
    """
    begun = read_run(run)
    old, new = msgspec.to_builtins(begun.train), msgspec.to_builtins(wanted.train)
    same = Path(begun.dataset).resolve() == Path(wanted.dataset).resolve()
    found = [f"dataset: {begun.dataset} -> {wanted.dataset}"] * (not same)
    if wanted.init not in (None, begun.init):
        found.append(f"init: {begun.init} -> {wanted.init}")
    for key in EPOCHS:
        if new[key] < done.get(key, 0):
            found.append(f"{key}: {done[key]} are done -> {new[key]}")
    for key in old:
        if old[key] != new[key] and key not in (*EPOCHS, *MAY_CHANGE):
            found.append(f"{key}: {old[key]} -> {new[key]}")
    if found:
        changes = "; ".join(found)
        raise InputError(f"{run}: was begun with other values ({changes}); use another --run")
