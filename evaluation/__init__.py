"""Panoptic quality, box and mask AP, error kinds, the report with its pictures."""
