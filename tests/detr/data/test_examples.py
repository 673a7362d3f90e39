"""Examples: what the model is shown and asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from base.errors import InputError
from conversion.coco.panoptic import PanopticSet, Photo, write_panoptic
from detr.config import TrainConfig
from detr.data.examples import (
    Examples,
    SegmentMap,
    Target,
    _change_colours,
    read_photo,
    read_splits,
)
from detr.data.loader import batches
from detr.data.padded import pad
from detr.data.view import View, draw_view, plain_view
from tests.detr.drawn import CATEGORIES, CIRCLE, GRASS, SKY, draw_set, write_photo

PLAIN = TrainConfig(
    min_size=40, max_size=80, train_sizes=(40,), flip=False, crop=0, photometric=0, num_workers=0
)


def split(folder: Path, ids: np.ndarray, categories: dict[int, int], *, crowd: int = 0) -> Path:
    """A set whose one training photo has the segments `ids`; returns its folder."""
    draw_set(folder, train=1, test=1)
    photo = write_photo(folder / "train", folder / "panoptic_train", 1, ids, categories)
    segments = tuple(replace(s, iscrowd=s.id == crowd) for s in photo.segments)
    _write_train(folder, replace(photo, segments=segments))
    return folder


def _write_train(folder: Path, photo: Photo) -> None:
    json_path = folder / "annotations" / "panoptic_train.json"
    write_panoptic(PanopticSet(json_path, folder / "panoptic_train", CATEGORIES, (photo,)))


def examples(folder: Path, config: TrainConfig = PLAIN) -> Examples:
    return read_splits(folder).examples("train", config)


def picture() -> np.ndarray:
    """20x40: sky (1) over grass (2), a circle (300) of 8x6 pixels whose corner is x 10, y 4."""
    ids = np.ones((20, 40), np.uint32)
    ids[10:] = 2
    ids[4:10, 10:18] = 300
    return ids


def on_cpu(segments: SegmentMap) -> Target:
    return segments.to(torch.device("cpu"))


NAMES = {1: SKY, 2: GRASS, 300: CIRCLE}


def test_boxes_are_those_of_all_segments_stuff_included(tmp_path: Path) -> None:
    image, segments = examples(split(tmp_path / "p", picture(), NAMES))[0]
    target = on_cpu(segments)
    assert image.shape == (3, 40, 80) and target.size == (40, 80)
    assert target.labels.tolist() == [1, 0, 2]  # packed: grass, sky, circle, square
    expected = [[0.5, 0.25, 1, 0.5], [0.5, 0.75, 1, 0.5], [14 / 40, 7 / 20, 8 / 40, 6 / 20]]
    assert torch.allclose(target.cxcywh_norm, torch.tensor(expected))
    assert target.masks.flatten(1).sum(1).tolist() == [1408, 1600, 192]  # four times the pixels


def test_crowds_are_skipped(tmp_path: Path) -> None:
    _, target = examples(split(tmp_path / "p", picture(), NAMES, crowd=300))[0]
    assert target.labels.tolist() == [1, 0]


def test_mirroring_moves_photo_boxes_and_masks_together(tmp_path: Path) -> None:
    shown = examples(split(tmp_path / "p", picture(), NAMES))
    photo, plain = shown.panoptic.photos[0], View(0, 0, 40, 20, 40, 20)
    mirrored = replace(plain, mirrored=True)
    assert torch.equal(shown.image(photo, mirrored), shown.image(photo, plain).flip(2))
    target = on_cpu(shown.segments(photo, mirrored))
    assert torch.equal(target.masks, on_cpu(shown.segments(photo, plain)).masks.flip(2))
    assert target.cxcywh_norm[2].tolist() == pytest.approx([26 / 40, 7 / 20, 8 / 40, 6 / 20])


def test_a_crop_keeps_what_is_visible_in_it(tmp_path: Path) -> None:
    """The left 14 columns of the sky: half of the circle's, no grass."""
    shown = examples(split(tmp_path / "p", picture(), NAMES))
    target = shown.segments(shown.panoptic.photos[0], View(0, 0, 14, 10, 28, 20))
    assert target.labels.tolist() == [1, 2]
    assert target.cxcywh_norm[1].tolist() == pytest.approx([12 / 14, 7 / 10, 4 / 14, 6 / 10])


def test_chance_depends_on_photo_and_epoch_not_on_who_reads(tmp_path: Path) -> None:
    config = replace(PLAIN, flip=True, crop=0.8, photometric=0.3, train_sizes=(24, 32, 40))
    shown = replace(examples(draw_set(tmp_path / "p"), config), epoch=3)
    here = [image for image, _ in (shown[i] for i in (2, 0))]
    by_worker = replace(shown, config=replace(config, num_workers=1, batch_size=1))
    there = [batch.seen for batch in batches(by_worker, [[2], [0]])]
    assert all(torch.equal(pad([a]).values, b.values) for a, b in zip(here, there, strict=True))
    other = [replace(shown, epoch=4).view(p) for p in shown.panoptic.photos]
    assert other != [shown.view(p) for p in shown.panoptic.photos]


def test_what_is_drawn_for_one_purpose_says_nothing_of_another(tmp_path: Path) -> None:
    """Mirrored photos are as bright as the others: no draw is used twice."""
    shown = examples(draw_set(tmp_path / "p", train=1))
    photo = shown.panoptic.photos[0]
    pairs = []
    for epoch in range(400):
        turn = replace(shown, epoch=epoch)
        pairs.append([turn._rng(photo, word).random(5) for word in ("view", "colours")])
    views, colours = np.array(pairs).transpose(1, 0, 2)
    assert np.abs(np.corrcoef(views.T, colours.T)[:5, 5:]).max() < 0.2


def test_colours_change_as_named(tmp_path: Path) -> None:
    """Of a grey photo, one change makes one grey: no saturation, no contrast to speak of."""
    grey = np.full((4, 6, 3), 100, np.uint8)
    changed = _change_colours(grey, np.random.default_rng(0), 0.5)
    assert len(np.unique(changed)) == 1 and changed[0, 0, 0] != 100
    bgr = np.random.default_rng(1).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    assert np.array_equal(_change_colours(bgr, np.random.default_rng(0), 0.0), bgr)


def test_masks_of_more_segments_than_a_byte_counts(tmp_path: Path) -> None:
    ids = np.arange(1, 401, dtype=np.uint32).reshape(20, 20).repeat(2, axis=1) << 12
    names = dict.fromkeys(np.unique(ids).tolist(), CIRCLE)
    target = on_cpu(examples(split(tmp_path / "p", ids, names))[0][1])
    assert len(target.labels) == 400
    assert target.masks.flatten(1).sum(1).tolist() == [8] * 400
    assert target.masks[300, 30:32, 0:4].all()


def test_segments_that_a_crop_leaves_out_leave_no_gap(tmp_path: Path) -> None:
    shown = examples(split(tmp_path / "p", picture(), NAMES))
    target = on_cpu(shown.segments(shown.panoptic.photos[0], View(0, 8, 40, 12, 40, 12)))
    assert target.labels.tolist() == [1, 0, 2]
    below = on_cpu(shown.segments(shown.panoptic.photos[0], View(0, 12, 40, 8, 40, 8)))
    assert below.labels.tolist() == [0] and below.masks.all()


def test_views_keep_the_ratio_and_the_longest_side() -> None:
    assert plain_view(PLAIN, width=100, height=50) == View(0, 0, 100, 50, 80, 40)
    assert plain_view(PLAIN, width=125, height=50) == View(0, 0, 125, 50, 80, 32)
    # thinner than a feature of the backbone: seen as thick as one
    assert plain_view(PLAIN, width=400, height=50) == View(0, 0, 400, 50, 80, 32)
    rng, config = np.random.default_rng(0), replace(PLAIN, crop=1, flip=True)
    views = [draw_view(rng, config, width=100, height=60) for _ in range(50)]
    assert all(v.x + v.width <= 100 and v.y + v.height <= 60 for v in views)
    assert all(v.width >= 50 and v.height >= 30 for v in views)
    assert {v.mirrored for v in views} == {False, True}


def test_a_category_or_a_size_that_does_not_fit_is_named(tmp_path: Path) -> None:
    folder = split(tmp_path / "p", picture(), NAMES)
    photo = read_splits(folder).train.photos[0]
    wrong = replace(photo.segments[0], category_id=99)
    _write_train(folder, replace(photo, segments=(wrong, *photo.segments[1:])))
    with pytest.raises(InputError, match=r"panoptic_train\.json: category 99"):
        examples(folder)[0]
    _write_train(folder, replace(photo, width=41))
    with pytest.raises(InputError, match="expected 41x20 pixels"):
        examples(folder)[0]
    _write_train(folder, replace(photo, file_name="../test/photo1.png"))
    with pytest.raises(InputError, match="must stay in"):
        examples(folder)[0]
    with pytest.raises(InputError, match=r"panoptic_train\.json: missing"):
        read_splits(tmp_path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif"])
def test_a_photo_that_ends_too_early_is_named(tmp_path: Path, suffix: str) -> None:
    """What follows a whole photo, as some phones add, is allowed."""
    path = tmp_path / f"a{suffix}"
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)
    whole = path.read_bytes()
    for data in (whole, whole + b"more of the phone's own"):
        path.write_bytes(data)
        assert read_photo(path).shape == (40, 60, 3)
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(InputError, match=rf"a\{suffix}: can"):
        read_photo(path)
