"""The ranges of the numbers in the configuration of training."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

# A file from elsewhere must not ask for more memory than any machine has
MOST = {
    **dict.fromkeys(("batch_size", "accumulate", "num_workers"), 4096),
    **dict.fromkeys(("min_size", "max_size"), 8192),
    **dict.fromkeys(("enc_layers", "dec_layers"), 100),
    **dict.fromkeys(("hidden_dim", "nheads"), 8192),
    **{"dim_feedforward": 65536, "num_queries": 10_000, "test_scale": 4},
}


def check_ranges(config: Any) -> None:
    """Raise ValueError if a number of a `TrainConfig` is out of its range."""
    positive = {
        *("batch_size", "epochs", "lr_drop", "mask_epochs", "mask_lr_drop", "lr", "mask_lr"),
        *("enc_layers", "dec_layers", "dim_feedforward", "hidden_dim", "nheads", "num_queries"),
        *("min_size", "max_size", "accumulate", "test_scale"),
    }
    shares = {"dropout", "eos_coef", "crop", "photometric", "threshold", "ema_decay", "stretch"}
    for setting in fields(config):
        value = getattr(config, setting.name)
        if setting.name in positive and not value > 0:
            raise ValueError(f"{setting.name}: expected more than 0, found {value}")
        if setting.name in shares and not 0 <= value <= 1:
            raise ValueError(f"{setting.name}: expected 0 to 1, found {value}")
        if isinstance(value, int | float) and not 0 <= value < float("inf"):
            raise ValueError(f"{setting.name}: expected 0 or more, found {value}")
        if value > (most := MOST.get(setting.name, value)):
            raise ValueError(f"{setting.name}: expected at most {most}, found {value}")
    sizes = config.train_sizes
    if not sizes or min(sizes) <= 0 or max(sizes) > MOST["max_size"]:
        raise ValueError(
            f"train_sizes: expected sizes from 1 to {MOST['max_size']}, found {list(sizes)}"
        )
