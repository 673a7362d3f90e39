"""Prediction: panoptic data sets on disk, and ONNX export."""
