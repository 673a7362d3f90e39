"""The HTML report: scores, loss curves, and pictures of ground truth and prediction."""
