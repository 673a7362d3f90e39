"""Labelme files and the photos they describe: read, check, repair, draw."""
