"""Load a panoptic set into FiftyOne: photos, segments, splits and findings."""
