"""COCO formats, read and written: panoptic, instances, results, run-length encoding."""
