"""Names that the App shows: the fields of a photo and of its segments, and outcomes of a review."""

from __future__ import annotations

TRUE_SEGMENTS = ("ground_truth", "ground_truth_stuff")  # things, stuff
PREDICTED_SEGMENTS = ("predictions", "predictions_stuff")
TRUE_SCENE = "scene"
PREDICTED_SCENE = "predicted_scene"
COUNTS = ("hits", "false_alarms", "missed")  # of segments in a photo

HIT = "hit"
FALSE_ALARM = "false alarm"
MISSED = "missed"
IGNORED = "ignored"
OUTCOMES = (HIT, FALSE_ALARM, MISSED, IGNORED)
