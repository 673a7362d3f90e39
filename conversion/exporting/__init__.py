"""Exporting a data set to the formats of other trainers."""
