"""Labelme files and their photos: collecting, reading, checking, fixing and annotating."""
