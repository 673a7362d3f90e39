"""Rules about stuff sources: they can be opened, and each label map belongs to one photo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from annotation.dataset import Dataset
from annotation.findings import Complaint
from annotation.rules.checked import CheckedAnnotation
from base.counting import counted
from base.errors import InputError
from conversion.coco.categories import categories_of
from conversion.config import read_conversion_config
from conversion.stuff.coco import CocoStuff
from conversion.stuff.map_names import MOST_EXAMPLES, MapNames
from conversion.stuff.maps import LabelMaps
from conversion.stuff.sources import open_source, photo_names, source_names

MOST_BYTES = 64 << 20


def stuff_complaints(
    dataset: Dataset, annotations: Sequence[CheckedAnnotation]
) -> Iterator[Complaint]:
    """Report sources that `convert` refuses, and files that belong to no photo or several.

    COCO files of more than MOST_BYTES are not read, because that takes seconds.
    """
    config = read_conversion_config(dataset)
    if not config.stuff_sources:
        return
    try:
        categories = categories_of(dataset, config)
        names = source_names(dataset, config, categories)
    except InputError as error:
        yield Complaint("stuff-source", None, str(error))
        return
    for index, one in enumerate(config.stuff_sources):
        try:
            if (file := one.coco or one.prediction) is not None:
                path = dataset.inside(file, where=f"stuff_sources[{index}]")
                if not path.is_file():
                    raise InputError(f"stuff_sources[{index}]: {path}: missing")
                if path.stat().st_size > MOST_BYTES:
                    continue
            source = open_source(dataset, one, names, categories, index=index)
        except InputError as error:
            yield Complaint("stuff-source", None, str(error))
            continue
        if isinstance(source, LabelMaps):
            yield from _map_complaints(dataset, source.names)
        elif isinstance(source, CocoStuff):
            yield from _coco_complaints(dataset, source)


def _coco_complaints(dataset: Dataset, source: CocoStuff) -> Iterator[Complaint]:
    names = list(photo_names(dataset))
    if names and not any(map(source.has, names)):
        message = f"{dataset.relative(source.index.path)}: contains none of the photos of the set"
        fix = "its file_name must be the path of a photo below images/, or the end of it"
        yield Complaint("map-unmatched", None, message, fix)


def _map_complaints(dataset: Dataset, names: MapNames) -> Iterator[Complaint]:
    folder = dataset.relative(names.folder)
    if names.ambiguous:
        photo, why = next(iter(sorted(names.ambiguous.items())))
        others = len(names.ambiguous) - 1
        more = f"; the same applies to {counted(others, 'other photo')}" if others else ""
        yield Complaint("map-ambiguous", None, f"the map of {photo} is ambiguous: {why}{more}")
    if names.unmatched:
        shown = ", ".join(names.unmatched[:MOST_EXAMPLES])
        message = f"{counted(len(names.unmatched), 'label map')} not used, because no photo matches"
        fix = "name the map of images/a.jpg a.jpg.png or a.png"
        yield Complaint("map-unmatched", None, f"{folder}: {message}: {shown}", fix)
