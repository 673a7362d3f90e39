"""Photos as a person sees them: the frame is the one after the EXIF rotation, as in Labelme."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from PIL import ExifTags, Image, UnidentifiedImageError

from annotation.dataset import Dataset
from annotation.files import InputError

TURNED_ORIENTATIONS = {5, 6, 7, 8}  # EXIF orientations that swap width and height


def photo_size(path: Path) -> tuple[int, int]:
    """Height and width of a photo in pixels, after its EXIF rotation; only the header is read."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(ExifTags.Base.Orientation) in TURNED_ORIENTATIONS
    except (OSError, UnidentifiedImageError):
        raise InputError(f"{path}: cannot be read as a photo") from None
    return (width, height) if turned else (height, width)


def find_photo(dataset: Dataset, json_path: Path, image_path: str) -> Path:
    """Return the photo that an annotation speaks of.

    `imagePath` counts from the JSON file; where nothing lies there, the photo of that name in
    `images/` is taken. Raises InputError where neither exists or the path leaves the set.
    """
    where = json_path.relative_to(dataset.root)
    parts = PurePosixPath(image_path.replace("\\", "/"))
    stored = dataset.inside(str(where.parent / parts), where=f"{where}: imagePath")
    for candidate in (stored, dataset.images / parts.name):
        if candidate.is_file() and candidate.resolve().is_relative_to(dataset.images.resolve()):
            return dataset.images / candidate.resolve().relative_to(dataset.images.resolve())
    raise InputError(f"imagePath '{image_path}': no such photo in {dataset.images}")
