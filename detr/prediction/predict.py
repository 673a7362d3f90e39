"""Predictions on disk: a panoptic data set, and instances in COCO's results format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from annotation.photos.files import decode_photo, read_photo_bytes
from annotation.photos.listing import list_photos
from base.errors import InputError
from base.files import RunningDigest, inside
from base.parsing import read_json, write_json
from base.progress import track
from conversion.coco.panoptic import PanopticSet, write_panoptic
from conversion.coco.png import png_names, write_segment_ids
from conversion.coco.results import write_results
from detr.prediction.photos import predict_photos
from detr.prediction.predictor import Predictor, Thresholds, find_model_file, load_predictor
from detr.prediction.results import DecodedPhoto

FORMAT = "2"  # increase it when the predictions of a checkpoint change


def predict(
    source: str | Path, images: Path, out: Path, thresholds: Thresholds | None = None
) -> None:
    """Predict all photos in `images` and its subfolders; write to `out`, unless it is up to date.

    `source` is the folder of a run with trained masks, or a file or name of published weights with
    a mask head. Raises InputError if there are no photos, if photos cannot be read (after
    predicting all others), or if `out` contains other files.
    """
    path, thresholds = find_model_file(source), thresholds or Thresholds()
    names = _photo_names(images)
    _check_place(images, out)
    inputs = RunningDigest(FORMAT, repr(thresholds), path, *names)
    inputs_before_photos = inputs.hexdigest()
    if _is_up_to_date(out, inputs, images, names):
        print(f"{out}: up to date")
        return
    predictor = load_predictor(path, thresholds)
    png_name_of = png_names(names)
    own = {*_own_pngs(out), *png_name_of.values()}
    _prepare(out, own)
    errors: list[str] = []
    photos = _decode_photos(images, names, inputs, errors)
    kept = _write(predictor, track(photos, "predict", total=len(names)), png_name_of, out)
    for stale in own - kept:
        inside(out / "panoptic", stale, where=str(out / "manifest.json")).unlink(missing_ok=True)
    if errors:
        raise InputError(_skipped(errors, names))
    manifest = {
        "inputs": inputs_before_photos,
        "digest": inputs.hexdigest(),
        "pngs": sorted(kept),
    }
    write_json(out / "manifest.json", manifest, indent=2)


def predict_names(predictor: Predictor, images: Path, names: list[str], out: Path) -> None:
    """Predict the photos `names` in `images` with a loaded model; write to the new folder `out`.

    Raises InputError if photos cannot be read.
    """
    errors: list[str] = []
    photos = _decode_photos(images, names, RunningDigest(), errors)
    _write(predictor, track(photos, "predict", total=len(names)), png_names(names), out)
    if errors:
        raise InputError(_skipped(errors, names))


def _skipped(errors: list[str], names: list[str]) -> str:
    return f"skipped {len(errors)} of {len(names)} photos:\n" + "\n".join(errors)


def _photo_names(images: Path) -> list[str]:
    """Return the relative paths of all photos. Raises InputError if there are none."""
    names = [photo.relative_to(images).as_posix() for photo in list_photos(images)]
    if not names:
        raise InputError(f"{images}: no photos found")
    return names


def _check_place(images: Path, out: Path) -> None:
    """Raise InputError if `out` contains anything but predictions, or is inside `images`."""
    if out.resolve().is_relative_to(images.resolve()):
        raise InputError(
            f"{out}: is inside {images}, where predictions would be read as photos; choose another"
            " folder"
        )
    if out.is_dir() and any(out.iterdir()) and _manifest(out) is None:
        raise InputError(
            f"{out}: contains files that `predict` did not write; choose another folder"
        )


def _is_up_to_date(out: Path, inputs: RunningDigest, images: Path, names: list[str]) -> bool:
    """Return whether `out` is a complete prediction from the same inputs and the same photos.

    The photos are read only if there is a complete prediction and everything else is the same:
    model, thresholds, and names of photos. Manifests of earlier versions do not say this.
    """
    complete = all((out / name).is_file() for name in ("panoptic.json", "instances.json"))
    manifest = _manifest(out) or {}
    if not complete or manifest.get("inputs") != inputs.hexdigest():
        return False
    current = inputs.copy()
    for name in names:
        current.add(images / name)
    return bool(current.hexdigest() == manifest["digest"])


def _manifest(out: Path) -> dict[str, Any] | None:
    """Return the manifest of an earlier prediction, complete or not; None if there is none."""
    path = out / "manifest.json"
    found = read_json(path) if path.is_file() else None
    return found if isinstance(found, dict) and "digest" in found else None


def _own_pngs(out: Path) -> list[str]:
    """Return the PNGs that an earlier prediction wrote; no others are ever removed."""
    found = (_manifest(out) or {}).get("pngs", [])
    return [name for name in found if isinstance(name, str)]


def _prepare(out: Path, own: set[str]) -> None:
    """Record which PNGs are predictions, and remove the JSON files, which will be outdated."""
    write_json(out / "manifest.json", {"digest": "", "pngs": sorted(own)}, indent=2)
    for name in ("panoptic.json", "instances.json"):
        (out / name).unlink(missing_ok=True)


def _decode_photos(
    images: Path, names: list[str], inputs: RunningDigest, errors: list[str]
) -> Iterator[DecodedPhoto]:
    """Read each photo once, and add its content to `inputs`.

    Photos that cannot be read are skipped, and their errors added to `errors`.
    """
    for index, name in enumerate(names):
        try:
            data = read_photo_bytes(images / name)
            inputs.add(data)
            yield DecodedPhoto(index + 1, name, decode_photo(data, where=images / name))
        except InputError as error:
            errors.append(str(error))


def _write(
    predictor: Predictor,
    photos: Iterable[DecodedPhoto],
    png_name_of: Mapping[str, str],
    out: Path,
) -> set[str]:
    """Predict photos; write each PNG immediately and both JSON files at the end.

    Returns the names of the PNGs.
    """
    kept, instances = [], []
    for predicted in predict_photos(predictor, photos):
        photo = replace(predicted.photo, png_name=png_name_of[predicted.photo.file_name])
        write_segment_ids(out / "panoptic" / photo.png_name, predicted.ids)
        kept.append(photo)
        instances += predicted.instances
    categories = predictor.classes.categories
    write_panoptic(PanopticSet(out / "panoptic.json", out / "panoptic", categories, tuple(kept)))
    write_results(out / "instances.json", instances)
    return {photo.png_name for photo in kept}
