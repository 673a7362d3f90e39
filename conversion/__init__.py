"""The panoptic data set: built from Labelme files and stuff, imported, exported."""
