"""Labelme's annotation files: read, written, and what their shapes cover."""
