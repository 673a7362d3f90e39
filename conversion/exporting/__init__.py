"""The data set in the formats of other trainers."""
