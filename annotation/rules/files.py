"""Rules about an annotation file and its photo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from annotation.findings import Complaint
from annotation.labelme.annotation import Annotation
from annotation.labelme.photo_index import Found
from annotation.photos.files import Header, Size, open_embedded, read_header
from base.errors import InputError

EMBEDDED_FIX = "open it in Labelme; if it shows the right photo, save it without image data"


def file_complaints(annotation: Annotation) -> Iterator[Complaint]:
    """Check the encoding and the keys of the file, and that it has shapes."""
    if annotation.encoding != "utf-8":
        message = f"expected UTF-8, found {annotation.encoding}"
        yield Complaint("file-encoding", None, message, "save it in Labelme, or use --fix")
    if annotation.repeated_keys:
        keys = ", ".join(f"'{key}'" for key in annotation.repeated_keys[:5])
        message = f"keys appear twice in one object: {keys}; the last one is used"
        yield Complaint("file-duplicate-keys", None, message, "check it in Labelme and save it")
    if not annotation.shapes:
        message = "no shapes are drawn; the photo will contain only stuff"
        yield Complaint("annotation-empty", None, message, "draw its things")


def photo_complaints(annotation: Annotation, found: Found) -> Iterator[Complaint]:
    """Check that the photo was found at imagePath."""
    path = f"imagePath '{annotation.image_path}'"
    place = " leads out of the set" if found.leaves else ""
    if found.candidates:
        names = ", ".join(f"{p.parent.name}/{p.name}" for p in found.candidates[:3])
        message = f"{path}{place}: expected one photo of that name, found several: {names}"
        yield Complaint("photo-missing", None, message, "correct imagePath")
    elif found.unsupported is not None:
        yield unsupported(found.unsupported)
    elif found.photo is None and annotation.image_data:
        message = f"{path}{place}: the photo is missing; the file contains a copy of it"
        yield Complaint("photo-missing", None, message, "use --fix, which writes the copy out")
    elif found.photo is None:
        message = f"{path}{place}: no such photo in images/, and none with this file's name"
        fix = "move the photo to images/" if found.leaves else "restore the photo"
        yield Complaint("annotation-orphan", None, message, f"{fix}, or delete this file")
    elif found.leaves:
        message = f"{path}{place}; {found.photo.name} was found by its {found.how} and is used"
        yield Complaint("photo-path-leaves", None, message, "use --fix, or correct imagePath")
    elif found.how != "path":
        message = f"{path}: no such photo; found {found.photo.name} by its {found.how}"
        yield Complaint("photo-path", None, message, "use --fix, or correct imagePath")


def unsupported(picture: Path) -> Complaint:
    """Return the complaint about a picture whose format is not supported."""
    kind, png = picture.suffix[1:].upper(), f"{picture.stem}.png"
    message = f"{picture.name}: {kind} photos are not supported"
    fix = f"convert it to PNG or JPEG, for example with `magick {picture.name} {png}`"
    return Complaint("photo-unreadable", None, message, fix)


def header_complaints(annotation: Annotation, header: Header) -> Iterator[Complaint]:
    """Check how the photo is shown, and compare the size in the file with it.

    The size shows that a program ignored an EXIF rotation only if the rotation swaps width and
    height: not for square photos, mirrored photos and photos that are upside down.
    """
    if header.labelme_ignores_rotation:
        message = f"the photo is a {header.bits}-bit TIFF with a rotation, which Labelme ignores"
        yield Complaint("photo-rotation", None, message, "rotate its pixels; `collect` does that")
    if header.bits > 8:
        message = (
            f"the photo has {header.bits} bits per channel; the darkest value becomes 0 and the"
            " brightest 255, so brightness cannot be compared between photos"
        )
        yield Complaint("photo-depth", None, message, "if that matters, convert it to 8 bits")
    stored, (height, width) = stored_size(annotation), header.size
    if stored in (None, header.size):
        return
    written = f"{annotation.width}x{annotation.height}"
    message = f"the file says {written} pixels, the photo has {width}x{height}"
    if header.swaps_sides and stored == (width, height):
        message += " after its EXIF rotation; the shapes were drawn on the unrotated photo"
        yield Complaint("photo-rotation", None, message, "draw it again in Labelme")
    else:
        fix = "if the shapes were drawn on this photo, open it in Labelme and save it"
        yield Complaint("photo-size", None, message, fix)


def embedded_complaints(annotation: Annotation, header: Header | None) -> Iterator[Complaint]:
    """Check the copy of the photo in the file, which Labelme shows instead of the photo."""
    if annotation.image_data is None:
        return
    try:
        with open_embedded(annotation.image_data) as image:
            width, height = image.size
    except InputError as error:
        yield Complaint("photo-embedded", None, f"imageData: {error}", EMBEDDED_FIX)
        return
    if header is not None and header.size != (height, width):
        size = f"{header.size[1]}x{header.size[0]}"
        message = f"imageData has {width}x{height} pixels, the photo has {size}"
        yield Complaint("photo-embedded", None, message, EMBEDDED_FIX)


def stored_size(annotation: Annotation) -> Size | None:
    """Return the height and width that the annotation states, or None."""
    if annotation.height is None or annotation.width is None:
        return None
    return annotation.height, annotation.width


def header_of(photo: Path) -> Header | Complaint:
    """Read the size and rotation of a photo, or return a complaint."""
    try:
        return read_header(photo)
    except InputError as error:
        return unreadable(photo, str(error).removeprefix(f"{photo}: "))


def unreadable(photo: Path, reason: str) -> Complaint:
    """Return the complaint about a photo that cannot be opened."""
    message = f"{photo.name}: {reason}"
    return Complaint("photo-unreadable", None, message, "replace it with a readable copy")
