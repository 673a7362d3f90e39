"""Mask files for FiftyOne are complete, whatever stopped the load before."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from annotation.dataset import Dataset
from conversion.building.build import convert
from curation.loading.masks import mask_folder, write_masks
from tests.curation.conftest import truth_of


def test_masks_of_a_load_that_was_stopped_are_written_again(
    drawn: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(drawn)
    truth, folder = truth_of(drawn), mask_folder(drawn, "truth")
    synced: list[Path] = []
    monkeypatch.setattr("curation.loading.masks.sync_all", synced.append)
    masks = write_masks([truth], folder, reuse=False)
    assert synced == [folder]  # otherwise, a power cut would leave empty files
    own = masks[truth.photos[0].file_name]
    own.scene.write_bytes(b"")  # the power was cut
    own.segment(truth.photos[0].segments[0].id).unlink()  # the load was killed
    assert write_masks([truth], folder, reuse=False) == masks
    for path in (own.scene, own.segment(truth.photos[0].segments[0].id)):
        assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED) is not None
    assert {path.name for path in own.folder.parent.iterdir()} == {own.folder.name}


def test_a_full_disk_is_named(drawn: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    convert(drawn)
    truth = truth_of(drawn)

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: .*bytes needed.*png"):
        write_masks([truth], mask_folder(drawn, "truth"), reuse=False)
