"""Collecting photos from folders, zip files and videos into a data set."""
