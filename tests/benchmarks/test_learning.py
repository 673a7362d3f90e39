"""The peers of the learning benchmark train on our backbone, and their predictions are scored."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from benchmarks.learning import Trial, to_table
from benchmarks.learning_peers import PEERS, Peer
from benchmarks.learning_scores import Evaluator, Numbers
from benchmarks.learning_training import train_peer
from benchmarks.speed import find_peak
from detr.config import TrainConfig
from detr.data.splits import Splits, read_splits
from detr.settings import Settings
from tests.detr.drawn import draw_set

SMALL = [peer for peer in PEERS.values() if not peer.name.endswith("-published")]


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    return read_splits(draw_set(tmp_path_factory.mktemp("drawn") / "panoptic"))


@pytest.fixture
def config() -> TrainConfig:
    return Settings({"min_size": 64, "max_size": 96, "num_workers": 0}).config()


@pytest.mark.parametrize("peer", SMALL, ids=lambda peer: peer.name)
def test_a_peer_is_trained_and_scored(
    peer: Peer, splits: Splits, config: TrainConfig, tmp_path: Path
) -> None:
    torch.manual_seed(config.seed)
    initial = peer.build(config, splits.classes).state_dict()
    trained = train_peer(peer, splits, config, rate=1e-3, seconds=1.0)
    assert trained.steps > 0
    state = trained.model.state_dict()
    changed = {name for name in state if not torch.equal(state[name], initial[name])}
    body = {name for name in changed if ".body." in name}
    assert body
    assert not [name for name in body if "_blocks.4." in name or "stem" in name]
    assert changed - body

    evaluator = Evaluator(peer, trained.model, splits.classes, config, tmp_path)
    outputs = evaluator.predict(splits.test, splits.images("test"))
    assert [output.canvas_in_photo for output in outputs] == [(64, 96)] * 2
    numbers = evaluator.score(splits.test, outputs, threshold=0.5)
    assert numbers.box_ap is not None
    assert (numbers.pq is not None) == (numbers.mask_ap is not None) == peer.has_masks
    assert 0 <= numbers.main <= 1


def test_a_canvas_is_measured_in_pixels_of_the_photo(splits: Splits, tmp_path: Path) -> None:
    config = Settings({"min_size": 40, "max_size": 60}).config()
    peer = PEERS["rtdetr_v2"]
    model = peer.build(config, splits.classes).eval()
    evaluator = Evaluator(peer, model, splits.classes, config, tmp_path)
    (first, _) = evaluator.predict(splits.test, splits.images("test"))
    assert (first.size, first.canvas) == ((40, 60), (64, 64))
    assert first.canvas_in_photo == (round(64 * 64 / 40), round(64 * 96 / 60))


def test_the_table_has_a_dash_for_what_a_model_does_not_predict() -> None:
    trial = Trial("boxes", 0, 7, 0.5, Numbers(0.123, 0.25), rate=1e-4)
    console = Console(file=io.StringIO(), width=110)
    console.print(to_table([trial], 60.0))
    assert isinstance(console.file, io.StringIO)
    (row,) = [line for line in console.file.getvalue().splitlines() if "boxes" in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == ["boxes", "0", "0.0001", "7", "0.50", "12.3", "25.0", *"----"]


def test_the_peak_is_that_of_the_most_specific_name() -> None:
    assert find_peak("NVIDIA H100 PCIe") == 756e12
    assert find_peak("NVIDIA H100 80GB HBM3") == 989e12
    assert find_peak("Unknown") is None
