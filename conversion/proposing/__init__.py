"""Predicted segments as Labelme shapes that a person may accept."""
