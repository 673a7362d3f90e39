"""Examples: photos as the model reads them, and the segments to train on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from base.errors import InputError
from conversion.coco.panoptic import PanopticSet, Photo
from conversion.coco.panoptic_file import write_panoptic
from detr.config import FAST, TrainConfig
from detr.data.examples import Examples
from detr.data.loader import read_batches
from detr.data.memory import PhotoMemory, fits_in_memory
from detr.data.padded import pad
from detr.data.splits import read_splits
from detr.data.targets import SegmentMap, Target
from detr.data.view import View
from tests.detr.drawn import CATEGORIES, CIRCLE, GRASS, SKY, draw_set, write_photo

PLAIN = TrainConfig(
    min_size=40, max_size=80, train_sizes=(40,), flip=False, crop=0, photometric=0, num_workers=0
)


def split(folder: Path, ids: np.ndarray, categories: dict[int, int], *, crowd: int = 0) -> Path:
    """Write a set whose only training photo has the segments `ids`; return its folder."""
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
    """40x20 ids: sky (1) above grass (2), and a circle (300) of 8x6 pixels at x 10, y 4."""
    ids = np.ones((20, 40), np.uint32)
    ids[10:] = 2
    ids[4:10, 10:18] = 300
    return ids


def on_cpu(segments: SegmentMap) -> Target:
    return segments.to(torch.device("cpu"))


NAMES = {1: SKY, 2: GRASS, 300: CIRCLE}


def test_things_and_stuff_have_boxes_and_masks(tmp_path: Path) -> None:
    image, segments = examples(split(tmp_path / "p", picture(), NAMES))[0]
    target = on_cpu(segments)
    assert image.shape == (3, 40, 80) and target.size == (40, 80)
    assert target.labels.tolist() == [1, 0, 2]  # packed: grass, sky, circle, square
    expected = [[0.5, 0.25, 1, 0.5], [0.5, 0.75, 1, 0.5], [14 / 40, 7 / 20, 8 / 40, 6 / 20]]
    assert torch.allclose(target.cxcywh_norm, torch.tensor(expected))
    assert target.masks.flatten(1).sum(1).tolist() == [1408, 1600, 192]  # four times the pixels


def test_crowds_are_left_out(tmp_path: Path) -> None:
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


def test_a_crop_has_only_the_visible_parts_of_segments(tmp_path: Path) -> None:
    """The left 14 columns of the sky contain half of the circle and no grass."""
    shown = examples(split(tmp_path / "p", picture(), NAMES))
    target = shown.segments(shown.panoptic.photos[0], View(0, 0, 14, 10, 28, 20))
    assert target.labels.tolist() == [1, 2]
    assert target.cxcywh_norm[1].tolist() == pytest.approx([12 / 14, 7 / 10, 4 / 14, 6 / 10])


def test_random_numbers_depend_on_photo_and_epoch_but_not_on_the_process(tmp_path: Path) -> None:
    config = replace(PLAIN, flip=True, crop=0.8, photometric=0.3, train_sizes=(24, 32, 40))
    third = replace(examples(draw_set(tmp_path / "p"), config), epoch=3)
    here = [image for image, _ in (third[i] for i in (2, 0))]
    by_worker = replace(third, config=replace(config, num_workers=1, batch_size=1))
    there = [batch.inputs for batch in read_batches(by_worker, [[2], [0]])]
    assert all(torch.equal(pad([a]).values, b.values) for a, b in zip(here, there, strict=True))
    fourth = [replace(third, epoch=4).view(photo) for photo in third.panoptic.photos]
    assert fourth != [third.view(photo) for photo in third.panoptic.photos]


def test_colours_do_not_depend_on_the_view(tmp_path: Path) -> None:
    """Small or mirrored photos have the same brightness and contrast as others."""
    config = replace(PLAIN, flip=True, photometric=0.5, train_sizes=tuple(range(32, 64)))
    folder = split(tmp_path / "p", picture(), NAMES)
    grey = np.repeat(np.where(picture() == 1, 60, 120)[..., None], 3, axis=2)
    assert cv2.imwrite(str(next((folder / "train").iterdir())), grey.astype(np.uint8))
    plain, views, colours = View(0, 0, 40, 20, 40, 20), [], []
    for epoch in range(400):
        shown = replace(examples(folder, config), epoch=epoch)
        photo = shown.panoptic.photos[0]
        view, image = shown.view(photo), shown.image(photo, plain)
        views.append([view.out_height, view.mirrored])
        colours.append([float(image.mean()), float(image.std())])
    correlations = np.corrcoef(np.array(views).T, np.array(colours).T)[:2, 2:]
    assert np.abs(correlations).max() < 0.2


def test_segments_outside_a_crop_leave_no_gaps(tmp_path: Path) -> None:
    shown = examples(split(tmp_path / "p", picture(), NAMES))
    target = on_cpu(shown.segments(shown.panoptic.photos[0], View(0, 8, 40, 12, 40, 12)))
    assert target.labels.tolist() == [1, 0, 2]
    below = on_cpu(shown.segments(shown.panoptic.photos[0], View(0, 12, 40, 8, 40, 8)))
    assert below.labels.tolist() == [0] and below.masks.all()


def test_errors_name_the_file_and_what_does_not_match(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("variant", ["detr", "fast"])
def test_kept_photos_are_read_once_and_change_no_example(tmp_path: Path, variant: str) -> None:
    draw_set(tmp_path, train=3, test=1)
    config = TrainConfig(**(FAST if variant == "fast" else {}) | {"min_size": 40, "max_size": 80})
    read = replace(read_splits(tmp_path).examples("train", config), epoch=1)
    kept = replace(read, memory=PhotoMemory(keeps=True))
    list(map(kept.__getitem__, range(3)))
    second = [replace(read, epoch=2)[index] for index in range(3)]
    for file in (*(tmp_path / "train").iterdir(), *(tmp_path / "panoptic_train").iterdir()):
        file.unlink()  # from now on, nothing can be read from disk
    for index, (expected_image, expected) in enumerate(second):
        image, segments = replace(kept, epoch=2)[index]
        assert torch.equal(image, expected_image)
        assert torch.equal(segments.indices, expected.indices)
        assert torch.equal(segments.labels, expected.labels)
    with pytest.raises(InputError):
        replace(kept, memory=PhotoMemory())[0]


def test_photos_fit_into_a_quarter_of_the_memory(tmp_path: Path) -> None:
    draw_set(tmp_path, train=3, test=1)
    panoptic = read_splits(tmp_path).train
    assert fits_in_memory(panoptic)
    huge = tuple(replace(photo, width=10**7, height=10**7) for photo in panoptic.photos)
    assert not fits_in_memory(replace(panoptic, photos=huge))
