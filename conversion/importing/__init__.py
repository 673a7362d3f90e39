"""Importing COCO data sets as Labelme files."""
