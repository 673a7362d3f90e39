"""Training targets, matching and losses of `FastDETR`."""
