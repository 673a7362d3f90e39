"""Which instance each pixel of a photo shows, by which a change of its shapes is judged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from annotation.dataset import DatasetConfig
from annotation.labelme.annotation import Shape
from annotation.labelme.instances import find_instances, find_stuff, painting_order
from annotation.photos.files import Size
from conversion.coco.cropped_mask import CroppedMask, union
from conversion.painting.raster import shape_masks


def paint_owners(shapes: Sequence[Shape], config: DatasetConfig, size: Size) -> NDArray[np.int32]:
    """Return (H, W) numbers from 1 of the instances that are visible, 0 where nothing is drawn.

    Shapes of stuff have the first numbers and are painted first, as drawn; things and ignored
    regions follow in the set's order. Raises ShapeError if the geometry of a shape is unknown.
    """
    stuff, things = find_stuff(shapes, config), find_instances(shapes, config)
    instances = (*stuff, *things)
    height, width = size
    used = sorted({i for one in instances for i in (*one.parts, *one.holes)})
    masks = shape_masks(
        [shapes[i] for i in used], height=height, width=width, line_width=config.line_width
    )
    mask_of = dict(zip(used, masks, strict=True))
    parts: list[dict[int, CroppedMask]] = [
        {part: mask_of[part].without(*(mask_of[hole] for hole in one.holes)) for part in one.parts}
        for one in instances
    ]
    areas = [union(own.values()).area for own in parts[len(stuff) :]]
    order = [(part, owner) for owner, one in enumerate(stuff) for part in one.parts]
    order += [(part, owner + len(stuff)) for part, owner in painting_order(things, config, areas)]
    owners = np.zeros(size, np.int32)
    for part, owner in order:
        parts[owner][part].paint(owners, owner + 1)
    return owners
