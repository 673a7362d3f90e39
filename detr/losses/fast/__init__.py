"""What `FastDETR` learns: targets, matching, and the losses with their normalisers."""
