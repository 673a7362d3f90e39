"""The annotation file, and the photo that it speaks of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from annotation.findings import Complaint
from annotation.labelme.annotation import Annotation
from annotation.labelme.photo_index import Found
from annotation.photos.files import Header, Size, open_embedded, read_header
from base.errors import InputError

EMBEDDED_FIX = "look at it in Labelme; save it without image data if the photo is right"


def file_complaints(annotation: Annotation) -> Iterator[Complaint]:
    """How the file was written."""
    if annotation.encoding != "utf-8":
        message = f"expected UTF-8, got {annotation.encoding}"
        yield Complaint("file-encoding", None, message, "save it in Labelme, or with --fix")
    if annotation.repeated_keys:
        keys = ", ".join(f"'{key}'" for key in annotation.repeated_keys[:5])
        message = f"keys stand twice in one object: {keys}; the last one counts"
        yield Complaint("file-duplicate-keys", None, message, "look at it in Labelme and save it")
    if not annotation.shapes:
        message = "no shape is drawn; only stuff will be in this photo"
        yield Complaint("annotation-empty", None, message, "draw its things")


def photo_complaints(annotation: Annotation, found: Found) -> Iterator[Complaint]:
    """Which photo it is; that it lies where imagePath says."""
    path = annotation.image_path
    if found.leaves:
        message = f"imagePath '{path}' leaves the set"
        yield Complaint("photo-path-leaves", None, message, "put the photo into images/")
    if found.candidates:
        names = ", ".join(f"{p.parent.name}/{p.name}" for p in found.candidates[:3])
        message = f"imagePath '{path}': expected one photo of that name, got several: {names}"
        yield Complaint("photo-missing", None, message, "correct imagePath")
    elif found.how == "not" and annotation.image_data:
        message = f"imagePath '{path}': no such photo; the file holds a copy of it"
        yield Complaint("photo-missing", None, message, "put the photo back")
    elif found.how == "not":
        message = f"imagePath '{path}': no such photo in images/, nor one of this file's name"
        yield Complaint("annotation-orphan", None, message, "put the photo back, or delete this")
    elif found.how != "path" and found.photo is not None:
        message = (
            f"imagePath '{path}': nothing is there; took {found.photo.name} by its {found.how}"
        )
        yield Complaint("photo-path", None, message, "correct imagePath")


def size_complaints(annotation: Annotation, header: Header) -> Iterator[Complaint]:
    """That the size in the file is the photo's, in the frame that Labelme shows.

    Whether a program ignored an EXIF rotation shows in the size only where that is swapped: nothing
    can be said of square photos, mirror images and photos upside down.
    """
    if header.tiff and header.orientation != 1:
        message = "the photo is a TIFF to be turned: Labelme does not turn it, other programs do"
        yield Complaint("photo-rotation", None, message, "turn its pixels; `collect` does that")
    stored, (height, width) = stored_size(annotation), header.size
    if stored in (None, header.size):
        return
    message = f"file says {annotation.width}x{annotation.height}, photo is {width}x{height}"
    if header.turned and stored == (width, height):
        message += " once turned as its EXIF says; it was drawn on the unturned photo"
        yield Complaint("photo-rotation", None, message, "draw it again in Labelme")
    else:
        fix = "open and save it in Labelme, if this is the photo that was drawn on"
        yield Complaint("photo-size", None, message, fix)


def embedded_complaints(annotation: Annotation, header: Header | None) -> Iterator[Complaint]:
    """That the copy of the photo in the file, which Labelme shows instead, is one."""
    if annotation.image_data is None:
        return
    try:
        with open_embedded(annotation.image_data) as picture:
            width, height = picture.size
    except InputError as error:
        yield Complaint("photo-embedded", None, f"imageData {error}", EMBEDDED_FIX)
        return
    if header is not None and header.size != (height, width):
        size = f"{header.size[1]}x{header.size[0]}"
        message = f"imageData is a picture of {width}x{height}, the photo has {size}"
        yield Complaint("photo-embedded", None, message, EMBEDDED_FIX)


def stored_size(annotation: Annotation) -> Size | None:
    """Height and width as the annotation has them."""
    if annotation.height is None or annotation.width is None:
        return None
    return annotation.height, annotation.width


def header_of(photo: Path) -> Header | Complaint:
    """Size and rotation of a photo, or what is wrong with it."""
    try:
        return read_header(photo)
    except InputError as error:
        return unreadable(photo, error)


def unreadable(photo: Path, error: InputError) -> Complaint:
    """The complaint about a photo that cannot be opened."""
    message = f"{photo.name}: {str(error).removeprefix(f'{photo}: ')}"
    return Complaint("photo-unreadable", None, message, "replace it by a readable copy")
