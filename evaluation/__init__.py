"""Compare a prediction with the ground truth: panoptic quality, AP, errors and the HTML report."""
