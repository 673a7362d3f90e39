"""COCO data sets to Labelme files."""
