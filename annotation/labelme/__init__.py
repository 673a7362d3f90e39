"""Labelme's annotation files: reading and writing, the geometry of shapes, and their photos."""
