"""The HTML report: scores, loss curves, and pictures of the ground truth and the prediction."""
