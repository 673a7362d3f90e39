"""The panoptic data set: ids, categories, rasterising, mask arithmetic, splits, COCO files."""
