"""Predictions on disk: a panoptic data set, and instances in COCO's results format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from annotation.photos.files import decode_photo, read_photo_bytes
from base.errors import InputError
from base.files import RunningDigest, inside
from base.locks import working_on
from base.parsing import write_json
from base.progress import track
from base.syncing import sync_all
from conversion.coco.panoptic import PanopticSet
from conversion.coco.panoptic_file import read_panoptic, write_panoptic
from conversion.coco.png import png_names, write_segment_ids
from conversion.coco.results import INSTANCES, write_results
from detr.prediction import pictures as drawing
from detr.prediction.photos import predict_photos
from detr.prediction.place import check_place, read_manifest
from detr.prediction.predictor import Predictor, find_model_file, load_predictor
from detr.prediction.results import DecodedPhoto
from detr.prediction.sources import PhotoList, find_photos
from detr.prediction.thresholds import Thresholds

FORMAT = "3"  # increase it when the predictions of a checkpoint change


@dataclass(frozen=True)
class _Own:
    """The names of files that predictions wrote, in `panoptic/` and in `pictures/`."""

    pngs: set[str]
    pictures: set[str]


def predict(
    source: str | Path,
    photos: PhotoList | Path,
    out: Path,
    thresholds: Thresholds | None = None,
    *,
    pictures: bool = False,
) -> None:
    """Predict photos, listed or all below a folder; write to `out`, unless it is up to date.

    `source` is the folder of a run with trained masks, or a file or name of published weights with
    a mask head. With `pictures`, each photo is also drawn with its segments. Prints what was found.
    Raises InputError if there are no photos, if photos cannot be read (after predicting all
    others), or if `out` contains other files.
    """
    listed = find_photos(photos) if isinstance(photos, Path) else photos
    path = find_model_file(source)
    check_place(listed, out)
    with working_on(out, "predict"):
        _predict_all(path, listed, out, thresholds or Thresholds(), pictures=pictures)


def _predict_all(
    path: Path, listed: PhotoList, out: Path, thresholds: Thresholds, *, pictures: bool
) -> None:
    images, names = listed.root, list(listed.names)
    inputs = RunningDigest(FORMAT, repr(thresholds), path, *["pictures"] * pictures, *names)
    inputs_before_photos = inputs.hexdigest()
    if _is_up_to_date(out, inputs, images, names):
        _print_found(out, "up to date: ", pictures=pictures)
        return
    predictor = load_predictor(path, thresholds)
    png_name_of = png_names(names)
    drawn = [drawing.picture_name(name) for name in png_name_of.values()] if pictures else []
    own = _Own(
        {*_own_files(out, "pngs"), *png_name_of.values()}, {*_own_files(out, "pictures"), *drawn}
    )
    _prepare(out, own)
    errors: list[str] = []
    decoded = track(_decode_photos(images, names, inputs, errors), "predict", total=len(names))
    kept = _write(predictor, decoded, png_name_of, out, pictures=pictures)
    _remove(out / "panoptic", own.pngs - kept.pngs)
    _remove(out / drawing.FOLDER, own.pictures - kept.pictures)
    _print_found(out, "", pictures=pictures)
    if errors:
        raise InputError(_skipped(errors, names))
    sync_all(out)
    written = {"pngs": sorted(kept.pngs), "pictures": sorted(kept.pictures)}
    digests = {"digest": inputs.hexdigest(), "outputs": _digest_outputs(out, kept)}
    manifest = {"inputs": inputs_before_photos, **digests, **written}
    write_json(out / "manifest.json", manifest, indent=2, durable=True)


def predict_names(predictor: Predictor, images: Path, names: list[str], out: Path) -> None:
    """Predict the photos `names` in `images` with a loaded model; write to the new folder `out`.

    Raises InputError if photos cannot be read.
    """
    errors: list[str] = []
    photos = _decode_photos(images, names, RunningDigest(), errors)
    shown = track(photos, "predict", total=len(names))
    _write(predictor, shown, png_names(names), out, pictures=False)
    if errors:
        raise InputError(_skipped(errors, names))


def _skipped(errors: list[str], names: list[str]) -> str:
    return f"skipped {len(errors)} of {len(names)} photos:\n" + "\n".join(errors)


def _print_found(out: Path, state: str, *, pictures: bool) -> None:
    """Print what the finished prediction in `out` contains."""
    line = drawing.found_line(read_panoptic(out / "panoptic.json"))
    print(f"{out}: {state}{line}" + (f"; pictures in {out / drawing.FOLDER}" if pictures else ""))


def _is_up_to_date(out: Path, inputs: RunningDigest, images: Path, names: list[str]) -> bool:
    """Return whether `out` is a complete prediction from the same inputs and the same photos.

    The photos are read only if there is a complete prediction and everything else is the same:
    model, thresholds, and names of photos. Manifests of earlier versions do not say this. The
    predicted files are read last; some may be damaged or missing.
    """
    complete = all((out / name).is_file() for name in ("panoptic.json", INSTANCES))
    manifest = read_manifest(out) or {}
    if not complete or manifest.get("inputs") != inputs.hexdigest():
        return False
    current = inputs.copy()
    for name in names:
        current.add(images / name)
    if current.hexdigest() != manifest["digest"]:
        return False
    own = _Own(set(_own_files(out, "pngs")), set(_own_files(out, "pictures")))
    return bool(_digest_outputs(out, own) == manifest.get("outputs"))


def _digest_outputs(out: Path, own: _Own) -> str:
    """Return the digest of all files of a prediction except its manifest."""
    total = RunningDigest(out / "panoptic.json", out / INSTANCES)
    for folder, names in (("panoptic", own.pngs), (drawing.FOLDER, own.pictures)):
        for name in sorted(names):
            total.add(inside(out / folder, name, where=str(out / "manifest.json")))
    return total.hexdigest()


def _own_files(out: Path, kind: str) -> list[str]:
    """Return the files of a kind that an earlier prediction wrote; no others are ever removed."""
    found = (read_manifest(out) or {}).get(kind, [])
    return [name for name in found if isinstance(name, str)]


def _prepare(out: Path, own: _Own) -> None:
    """Record which files are predictions, and remove the JSON files, which will be outdated."""
    files = {"pngs": sorted(own.pngs), "pictures": sorted(own.pictures)}
    write_json(out / "manifest.json", {"digest": "", **files}, indent=2, durable=True)
    for name in ("panoptic.json", INSTANCES):
        (out / name).unlink(missing_ok=True)


def _remove(folder: Path, names: set[str]) -> None:
    for name in names:
        inside(folder, name, where=str(folder.parent / "manifest.json")).unlink(missing_ok=True)


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
    *,
    pictures: bool,
) -> _Own:
    """Predict photos; write PNGs and pictures immediately and both JSON files at the end.

    Returns the names of the PNGs and pictures.
    """
    kept, instances, drawn = [], [], set()
    categories = predictor.classes.categories
    for predicted in predict_photos(predictor, photos):
        photo = replace(predicted.photo, png_name=png_name_of[predicted.photo.file_name])
        write_segment_ids(out / "panoptic" / photo.png_name, predicted.ids)
        if pictures:
            drawn.add(drawing.write_picture(replace(predicted, photo=photo), categories, out))
        kept.append(photo)
        instances += predicted.instances
    write_panoptic(PanopticSet(out / "panoptic.json", out / "panoptic", categories, tuple(kept)))
    write_results(out / INSTANCES, instances)
    return _Own({photo.png_name for photo in kept}, drawn)
