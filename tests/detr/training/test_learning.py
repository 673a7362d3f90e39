"""A model overfits a small drawn data set."""

from __future__ import annotations

import json
from pathlib import Path

from detr.config import RunConfig, TrainConfig
from detr.prediction.predict import predict
from detr.training.train import train
from evaluation.scores.scores import evaluate_files
from tests.detr.drawn import draw_set

CONFIG = TrainConfig(
    backbone="efficientnet_lite0",
    lr_backbone=0,
    cached_views=1,
    hidden_dim=128,
    enc_layers=1,
    dec_layers=2,
    dim_feedforward=128,
    dropout=0,
    pre_norm=True,
    num_queries=8,
    batch_size=4,
    lr=1e-3,
    epochs=70,
    lr_drop=60,
    mask_lr=1e-3,
    mask_epochs=60,
    mask_lr_drop=50,
    min_size=64,
    max_size=96,
    train_sizes=(64,),
    flip=False,
    crop=0,
    photometric=0,
    num_workers=0,
    threshold=0.5,
    score_every=0,
)


def test_boxes_and_masks_of_a_small_set_are_learnt(tmp_path: Path) -> None:
    panoptic = draw_set(tmp_path / "panoptic", train=8, test=1)
    train(panoptic, tmp_path / "run", RunConfig("drawn", CONFIG), "both")
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    dice = [line["train"]["loss_dice"] for line in log if line["stage"] == "masks"]
    assert dice[-1] < dice[0] / 2
    predict(tmp_path / "run", panoptic / "train", tmp_path / "out")
    truth = panoptic / "annotations" / "panoptic_train.json"
    scores = evaluate_files(truth, tmp_path / "out" / "panoptic.json")
    assert scores.quality.stuff.pq > 0.8
    assert scores.quality.things.pq > 0.4
    assert scores.box_ap is not None
    assert scores.box_ap.ap50 > 0.3  # of a dozen things; 0.33 to 1, depending on the seed
