"""Predicting photos: panoptic data sets on disk, and models exported as ONNX."""
