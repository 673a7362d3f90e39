"""Scores of one COCO panoptic set compared with another, with intervals, and their changes."""
