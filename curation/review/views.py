"""Saved views for going through a review in the App, worst photos first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

import fiftyone as fo
from fiftyone import ViewExpression
from fiftyone import ViewField as F

from curation.app.fields import (
    CONFUSIONS,
    ERROR_KINDS,
    ERRORS,
    FALSE_ALARM,
    HIT,
    MISSED,
    OTHERS,
    PREDICTED_SEGMENTS,
    PRICE,
    RUNS_DISAGREE,
    TRUE_SEGMENTS,
    WORST_PHOTOS,
    OtherFields,
)
from evaluation.errors.kinds import Kind

POOR_IOU = 0.7  # of hits whose outline is poor
SMALL = 32**2  # pixels: COCO's limit of small objects
_OURS = "review of "  # begins the description of a view that a review saved
MOST_CONFUSIONS = 20  # views of pairs of categories


def save_review_views(
    samples: fo.Dataset,
    run_name: str,
    kinds: Iterable[Kind],
    confusions: Sequence[tuple[str, str]],
    others: Mapping[str, OtherFields] | None = None,
) -> None:
    """Save the views, and delete those of an earlier review that no longer apply.

    `kinds` of errors and `confusions` of categories are those that occur. `others` are the
    fields of the runs beside this one, by the name of the run.
    """
    views = dict(_review_views(samples, kinds, confusions))
    if others:
        views |= _views_of_runs(samples, others)
    for name in set(samples.info.get("views", ())) - views.keys():
        if samples.has_saved_view(name) and _is_ours(samples, name):
            samples.delete_saved_view(name)
    description = f"{_OURS}{run_name}"
    in_order = list(views) == samples.info.get("views")
    for name, view in views.items():
        if not (in_order and _is_saved(samples, name, view, description)):
            samples.save_view(name, view, description=description, overwrite=True)
    samples.info = {**samples.info, "views": list(views)}
    samples.save()


def _is_saved(samples: fo.Dataset, name: str, view: fo.DatasetView, description: str) -> bool:
    """Whether the view was saved before; to save it again takes ten times as long as this."""
    if not samples.has_saved_view(name):
        return False
    if samples.get_saved_view_info(name)["description"] != description:
        return False
    try:
        return bool(samples.load_saved_view(name) == view)
    except ValueError:  # a field of it was deleted
        return False


def _is_ours(samples: fo.Dataset, name: str) -> bool:
    """Whether a review saved the view, and not the user under the same name."""
    return (samples.get_saved_view_info(name)["description"] or "").startswith(_OURS)


def _review_views(
    samples: fo.Dataset, kinds: Iterable[Kind], confusions: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, fo.DatasetView]]:
    reviewed = samples.exists("pq")
    wrong = F("outcome").is_in(ERRORS)
    costly = reviewed.match(F(PRICE) > 0).sort_by(PRICE, reverse=True)
    yield WORST_PHOTOS, only_segments(reviewed.sort_by("pq"), wrong, wrong)
    yield "most expensive photos", only_segments(costly, wrong, wrong)
    yield "all reviewed photos", reviewed.sort_by("pq")
    for kind in kinds:
        if kind == "outline":  # the kind of hits, which have no error of their own
            shown = (F("outcome") == HIT) & (F("iou") < POOR_IOU)
            found = _with(reviewed.sort_by("pq"), TRUE_SEGMENTS, shown)
        else:
            shown = F("error") == kind
            found = costly.match(F(ERROR_KINDS).contains(kind))
        yield view_of_kind(kind), only_segments(found, shown, shown)
    for true, predicted in confusions[:MOST_CONFUSIONS]:
        found = costly.match(F(CONFUSIONS).contains(f"{true} as {predicted}"))
        missed = (F("label") == true) & (F("confused_with") == predicted)
        invented = (F("label") == predicted) & (F("confused_with") == true)
        yield f"confused: {true} as {predicted}", only_segments(found, missed, invented)
    sure = (F("outcome") == FALSE_ALARM) & (F("confidence") >= _usual_score(samples))
    yield "confident and wrong", only_segments(_with(costly, PREDICTED_SEGMENTS, sure), None, sure)
    small = (F("outcome") == MISSED) & (F("area") < SMALL)
    things = TRUE_SEGMENTS[:1]
    yield "missed small things", only_segments(_with(costly, things, small), small, None)


def _usual_score(samples: fo.Dataset) -> float:
    """Return the median score of hits: of things, or else of stuff.

    What a high score is depends on the model: with `variant: fast`, few things reach 0.8.
    """
    for path in PREDICTED_SEGMENTS:
        names = [f"{path}.detections.{name}" for name in ("outcome", "confidence")]
        rows = zip(*samples.values(names, unwind=True), strict=True)
        scores = [score for outcome, score in rows if outcome == HIT and score is not None]
        if scores:
            return float(median(scores))
    return 0.0


def _views_of_runs(
    samples: fo.Dataset, others: Mapping[str, OtherFields]
) -> dict[str, fo.DatasetView]:
    wrong = F("outcome").is_in(ERRORS)
    size = F.max([F(one.change).abs() for one in others.values()])
    views = {RUNS_DISAGREE: samples.match(size > 0).sort_by(size, reverse=True)}
    for name, fields in others.items():
        both, change = samples.exists(fields.change), F(fields.change)
        views[f"better than {name}"] = both.match(change > 0).sort_by(fields.change, reverse=True)
        views[f"worse than {name}"] = both.match(change < 0).sort_by(fields.change)
    return {name: only_segments(view, wrong, wrong) for name, view in views.items()}


def view_of_kind(kind: str) -> str:
    """Return the name of the saved view of a kind of errors."""
    return f"error: {kind}"


def only_segments(
    view: fo.DatasetView, truth: ViewExpression | None, prediction: ViewExpression | None
) -> fo.DatasetView:
    """Show all photos of a view, but only the segments that fit; None hides that side.

    Predictions of the other runs are filtered as those of this one.
    """
    nothing = F("outcome") == ""
    others = [path for other in OTHERS for path in other.segments if view.has_sample_field(path)]
    predicted = (*PREDICTED_SEGMENTS, *others)
    for fields, shown in ((TRUE_SEGMENTS, truth), (predicted, prediction)):
        for path in fields:
            one = nothing if shown is None else shown
            view = view.filter_labels(path, one, only_matches=False)
    return view


def _with(view: fo.DatasetView, fields: Iterable[str], fits: ViewExpression) -> fo.DatasetView:
    """The photos of a view that have a segment that fits in one of the fields."""
    found = [F(f"{path}.detections").filter(fits).length() > 0 for path in fields]
    return view.match(F.any(found))
