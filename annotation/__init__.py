"""Labelme files: read, check, write, open the real Labelme; synthetic sample scenes."""
