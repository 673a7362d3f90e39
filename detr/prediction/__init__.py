"""From photos to panoptic predictions on disk, and the model as ONNX."""
