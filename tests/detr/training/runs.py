"""Small configurations, and reading a run's log."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from detr.config import RunConfig, TrainConfig
from tests.detr.configs import fast_config

ROOT = Path(__file__).parents[3]
CPU = torch.device("cpu")
DATASET_YAML = "things: [circle, square]\nstuff: [grass-merged, sky-other-merged]\nname: drawn\n"

CONFIG = TrainConfig(
    backbone="efficientnet_lite0",
    hidden_dim=128,
    enc_layers=1,
    dec_layers=2,
    dim_feedforward=64,
    num_queries=6,
    epochs=2,
    mask_epochs=2,
    min_size=64,
    max_size=96,
    train_sizes=(48, 64),
    num_workers=0,
    score_every=0,
)
CACHED = replace(CONFIG, cached_views=2, lr_backbone=0)
MASKS_CACHED = replace(CONFIG, cached_views=2)  # trains the backbone in the boxes stage
AVERAGED = replace(
    CONFIG, ema_decay=0.9, accumulate=2, warmup_steps=3, batch_size=1, score_every=1, patience=9
)
KILLED = replace(AVERAGED, epochs=3, schedule="cosine", keep_every=2)
FAST = fast_config(
    dec_layers=2,
    dim_feedforward=64,
    num_queries=12,
    min_size=64,
    max_size=96,
    batch_size=2,
    epochs=2,
    warmup_steps=2,
    schedule="step",
    tune=0.0,
    num_workers=0,
    score_every=0,
)
FAST_KILLED = replace(
    FAST, epochs=3, schedule="cosine", accumulate=2, batch_size=1, score_every=1, keep_every=2
)


def run_config(config: TrainConfig, **changes: Any) -> RunConfig:
    return RunConfig("drawn", replace(config, **changes))


def read_log(run: Path) -> list[dict[str, Any]]:
    """Return the lines of a log, without times."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "time")} for line in lines]


TUNED = replace(
    FAST_KILLED, tune=0.2, epochs=2, schedule="plateau", patience=1, batch_size=4, lr_backbone=0
)
