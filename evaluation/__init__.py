"""How good a prediction is: panoptic quality, average precision, errors, the report."""
