"""Everything that decides a training, with DETR's published names and defaults.

No torch here: the command line reads and checks a configuration before anything heavy loads.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec
import yaml

from annotation.files import InputError, nearest, parse, read_yaml

BACKBONES = ("efficientnet_lite0", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
MAY_GROW = ("epochs", "mask_epochs")  # a run may be trained for longer than it first was
MAY_CHANGE = ("num_workers",)  # changes no number that is trained


@dataclass(frozen=True)
class TrainConfig:
    """`train.yaml`; sizes in pixels."""

    # schedule
    lr: float = 1e-4  # of everything but the backbone
    lr_backbone: float = 1e-5  # 0 freezes the backbone
    batch_size: int = 2
    weight_decay: float = 1e-4
    epochs: int = 300  # of the boxes stage
    lr_drop: int = 200  # the rates fall to a tenth after so many epochs
    mask_epochs: int = 25  # of the masks stage
    mask_lr_drop: int = 15
    mask_lr: float = 1e-4  # of the mask head
    clip_max_norm: float = 0.1  # longest gradient; 0 leaves gradients as they are
    seed: int = 42
    num_workers: int = 2  # processes that read photos; 0 reads in the training process

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
    cached_views: int = 0  # random views of each photo whose features stay in memory; 0: no cache

    # predictions
    threshold: float = 0.85  # least score of a predicted segment

    def __post_init__(self) -> None:
        _check_ranges(self)
        _check_choices(self)
        if self.cached_views and self.lr_backbone:
            raise ValueError(
                f"cached_views: needs a frozen backbone, lr_backbone: 0, got {self.lr_backbone}"
            )


def _check_ranges(config: TrainConfig) -> None:
    positive = {
        *("batch_size", "epochs", "lr_drop", "mask_epochs", "mask_lr_drop", "lr", "mask_lr"),
        *("enc_layers", "dec_layers", "dim_feedforward", "hidden_dim", "nheads", "num_queries"),
        *("min_size", "max_size"),
    }
    shares = {"dropout", "eos_coef", "crop", "photometric", "threshold"}
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name in positive and not value > 0:
            raise ValueError(f"{field.name}: expected more than 0, got {value}")
        if field.name in shares and not 0 <= value <= 1:
            raise ValueError(f"{field.name}: expected 0 to 1, got {value}")
        if isinstance(value, int | float) and not 0 <= value < float("inf"):
            raise ValueError(f"{field.name}: expected 0 or more, got {value}")


def _check_choices(config: TrainConfig) -> None:
    if config.backbone not in BACKBONES:
        hint = nearest(config.backbone, BACKBONES)
        raise ValueError(f"backbone: '{config.backbone}' is unknown{hint}")
    if config.position_embedding not in ("sine", "learned"):
        got = config.position_embedding
        raise ValueError(f"position_embedding: expected 'sine' or 'learned', got '{got}'")
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


def load_config(path: Path | None, overrides: list[str]) -> TrainConfig:
    """Read `train.yaml` (None: the defaults) and apply "key=value" overrides."""
    config = TrainConfig() if path is None else read_yaml(path, TrainConfig)
    values = msgspec.to_builtins(config)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise InputError(f"{override}: expected key=value")
        values[key.strip()] = _value(text, where=key)
    return parse(TrainConfig, values, where=str(path or "command line")) if overrides else config


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
    return read_yaml(path, RunConfig)


def check_same_run(run: Path, wanted: RunConfig) -> None:
    """InputError naming every key in which a begun run differs from what is asked for."""
    begun = read_run(run)
    old, new = msgspec.to_builtins(begun.train), msgspec.to_builtins(wanted.train)
    found = [f"dataset: {begun.dataset} -> {wanted.dataset}"] * (begun.dataset != wanted.dataset)
    for key in old:
        grows = key in MAY_GROW and new[key] >= old[key]
        if old[key] != new[key] and not grows and key not in MAY_CHANGE:
            found.append(f"{key}: {old[key]} -> {new[key]}")
    if found:
        changes = "; ".join(found)
        raise InputError(f"{run}: was begun with other values ({changes}); use another --run")
