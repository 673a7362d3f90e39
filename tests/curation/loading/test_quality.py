"""Blurred, dark and overexposed photos are found, and photos without problems are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np
import pytest
from numpy.typing import NDArray

from annotation.dataset import Dataset
from base.errors import InputError
from conversion.building.build import convert
from conversion.building.check import check
from curation.app.fields import QUALITY
from curation.loading import quality
from curation.loading.load import load_dataset
from curation.loading.poor_photos import POOR
from curation.loading.quality import rate_photos
from tests.drawn import draw_dataset

Pixels = NDArray[np.float64]
SPOILT = {
    "blurry": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 4),
    "dark": lambda pixels: pixels * 0.25,
    "light": lambda pixels: 255 - 0.04 * (255 - pixels),
    "low_information": lambda pixels: np.full_like(pixels, 128),
    "odd_size": lambda pixels: cv2.resize(pixels, None, fx=0.4, fy=0.4),
    "odd_aspect_ratio": lambda pixels: pixels[:75],
    "grayscale": lambda pixels: pixels[..., 1],
}


def picture(seed: int) -> Pixels:
    """A colour image of 320x240 pixels with the details of a photo at each scale: 1/f noise."""
    noise = np.fft.fft2(np.random.default_rng(seed).normal(size=(240, 320, 3)), axes=(0, 1))
    y, x = np.fft.fftfreq(240)[:, None, None], np.fft.fftfreq(320)[None, :, None]
    noise /= np.hypot(np.hypot(x, y), 1 / 320)
    values = np.fft.ifft2(noise, axes=(0, 1)).real
    return np.asarray(255 * (values - values.min()) / np.ptp(values))


def save(path: Path, pixels: Pixels) -> None:
    cv2.imwrite(str(path), pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture
def ten(tmp_path: Path) -> Dataset:
    """Ten photos without problems."""
    names = "abcdefghij"
    dataset = draw_dataset(tmp_path / "set", dict.fromkeys(names, ()))
    for seed, name in enumerate(names):
        save(dataset.images / f"{name}.jpg", picture(seed))
    return dataset


def test_spoilt_photos_are_found_and_no_others(
    ten: Dataset, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = dict(zip(SPOILT, ten.photos(), strict=False))
    for kind, path in paths.items():
        save(path, SPOILT[kind](cv2.imread(str(path)).astype(np.float64)))
    names = [path.name for path in ten.photos()]
    found = rate_photos(ten, names)
    for kind, path in paths.items():
        assert kind in found[path.name].kinds
    assert [found[name].kinds for name in names[len(SPOILT) :]] == [()] * 3
    assert found[paths["blurry"].name].kinds == ("blurry",)
    assert "%" not in capfd.readouterr().err  # no progress bar but ours
    monkeypatch.setattr(quality, "_measure_all", lambda photos: pytest.fail("reads them again"))
    assert rate_photos(ten, names) == found


def test_what_most_photos_have_is_no_problem(ten: Dataset) -> None:
    for path in ten.photos()[1:]:
        cv2.imwrite(str(path), cv2.imread(str(path)) // 5)
    found = rate_photos(ten, [path.name for path in ten.photos()])
    assert {one.kinds for one in found.values()} == {()}


def test_an_incomplete_photo_is_an_error_that_names_it(ten: Dataset) -> None:
    path = ten.photos()[0]
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=f"{path.name}: cannot be read as a photo: "):
        rate_photos(ten, [path.name])


def test_the_app_has_a_view_of_poor_photos_that_follows_the_files(
    drawn: Dataset, mongo: str
) -> None:
    def load() -> fo.Dataset:
        convert(drawn)
        vectors = np.eye(2, dtype=np.float32)  # of too few photos for a map
        return fo.load_dataset(load_dataset(drawn, check(drawn), lambda *_: vectors))

    photo, sharp = drawn.images / "a.jpg", picture(0)[:30, :40]
    for name in "abc":
        save(drawn.images / f"{name}.jpg", sharp)
    save(photo, sharp / 8)
    samples = load()
    assert samples.load_saved_view(POOR).values("photo") == ["a.jpg"]
    assert samples.values(QUALITY) == [["dark"], [], None]  # c is not in the panoptic set
    save(photo, sharp)
    assert len(load().load_saved_view(POOR)) == 0
