"""Collecting photos from folders, zip files and videos, and a first configuration for a set."""
