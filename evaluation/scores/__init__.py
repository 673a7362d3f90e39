"""Panoptic quality and average precision of one COCO panoptic set compared with another."""
