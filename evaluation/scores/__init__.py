"""Panoptic quality and average precision of one COCO panoptic set against another."""
