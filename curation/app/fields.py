"""Names that the App shows: the fields of a photo and of its segments, and outcomes of a review."""

from __future__ import annotations

from dataclasses import dataclass

TRUE_SEGMENTS = ("ground_truth", "ground_truth_stuff")  # things, stuff
PREDICTED_SEGMENTS = ("predictions", "predictions_stuff")


@dataclass(frozen=True)
class OtherFields:
    """The fields of a run that is shown beside the reviewed one; `change` is pq minus its `pq`."""

    masks: str  # folder of the mask files
    segments: tuple[str, str]  # things, stuff
    pq: str
    change: str

    @property
    def all(self) -> tuple[str, ...]:
        """The names of all fields, as the sidebar lists them."""
        return (self.change, self.pq, *self.segments)


OTHERS = (  # of the run that was reviewed before, and the one before that
    OtherFields("other", ("other_predictions", "other_predictions_stuff"), "other_pq", "pq_change"),
    OtherFields(
        "other_2", ("other_2_predictions", "other_2_predictions_stuff"), "other_2_pq", "pq_change_2"
    ),
)
SPLIT = "split"  # of a photo in the panoptic set
TRUE_SCENE = "scene"
PREDICTED_SCENE = "predicted_scene"
COUNTS = ("hits", "false_alarms", "missed")  # of segments in a photo
PRICE = "price"  # of a photo or of a segment, in points of PQ
ERROR_KINDS = "error_kinds"  # of a photo
CONFUSIONS = "confusions"  # of a photo: `car as bus`
UNIQUENESS = "uniqueness"  # of a photo
REPRESENTATIVENESS = "representativeness"  # of a photo
QUALITY = "quality"  # of a photo: `blurry`, `dark`
SHARPNESS = "sharpness"  # of a photo
SUSPECTS = "suspects"  # labels that are probably wrong, found by `label-errors`
SUSPICION = "suspicion"  # of a photo: the highest score of its suspects

HIT = "hit"
FALSE_ALARM = "false alarm"
MISSED = "missed"
IGNORED = "ignored"
OUTCOMES = (HIT, FALSE_ALARM, MISSED, IGNORED)
ERRORS = (FALSE_ALARM, MISSED)

# keys of FiftyOne's evaluations, and attributes of segments
EVALUATIONS = ("pq_things", "pq_stuff")

WORST_PHOTOS = "worst photos"  # the saved view with which a review opens
SUSPICIOUS_LABELS = "suspicious labels"  # saved view
RUNS_DISAGREE = "runs disagree"  # saved view
LOOK_ALIKES = "look-alikes across splits"  # saved view
PHOTO_MAP = "photo_map"  # brain key: the map of all photos
SIMILAR = "similar_photos"  # brain key: the index by which the App finds similar photos
EVALUATION_PANEL = "model_evaluation_panel_builtin"  # FiftyOne's own
ERRORS_PANEL = "errors"  # in curation/panel
