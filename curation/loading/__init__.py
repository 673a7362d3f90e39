"""Panoptic data sets into FiftyOne."""
