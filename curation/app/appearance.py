"""How a data set looks in FiftyOne's App: colours, shown fields, sidebar, saved views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import fiftyone as fo
from fiftyone import ViewField as F

from base.files import digest
from conversion.coco.categories import Category

TRUE_SEGMENTS = ("ground_truth", "ground_truth_stuff")
PREDICTED_SEGMENTS = ("predictions", "predictions_stuff")
OUTCOME_COLORS = {"hit": "#2e9e3f", "false": "#e0243c", "missed": "#2f6bff", "ignored": "#606060"}
OPACITY = 0.55  # the photo stays visible under a truth and a prediction
UNREVIEWED_COLOR = "#b0b8c0"
GROUPS = {
    "tags": ["tags", "_label_tags"],
    "review": ["pq", "hits", "false", "missed"],
    "labels": [
        "ground_truth",
        "ground_truth_stuff",
        "scene",
        "predictions",
        "predictions_stuff",
        "predicted_scene",
    ],
    "photo": ["photo", "findings"],
}


def show(samples: fo.Dataset, categories: Sequence[Category]) -> None:
    """True segments in the colours of their categories; after a review all, in those of outcomes.

    Nothing happens where this look was set before: the user may have changed it in the App.
    """
    reviewed = samples.has_sample_field("pq")
    if reviewed:
        fields = [_by_outcome(path) for path in (*TRUE_SEGMENTS, *PREDICTED_SEGMENTS)]
        active = ["pq", *TRUE_SEGMENTS, *PREDICTED_SEGMENTS]
    else:
        fields = [_by_label(path, categories) for path in TRUE_SEGMENTS]
        active = list(TRUE_SEGMENTS)
    scenes = [{"intTarget": c.id, "color": _hex(c)} for c in categories]
    look = digest(repr((fields, scenes, active, OPACITY, GROUPS)))
    if samples.info.get("look") == look:
        return
    samples.default_mask_targets = {c.id: c.name for c in categories}
    samples.app_config.color_scheme = fo.ColorScheme(
        color_by="value", opacity=OPACITY, fields=fields, default_mask_targets_colors=scenes
    )
    samples.app_config.active_fields = fo.ActiveFields(paths=active)
    samples.app_config.sidebar_groups = _sidebar_groups(samples)
    samples.info = {**samples.info, "look": look}
    samples.save()


def save_finding_view(samples: fo.Dataset) -> None:
    """A saved view of the photos that validation says something about."""
    found = samples.match(F("findings").length() > 0)
    samples.save_view("with findings", found, overwrite=True)


def save_review_views(samples: fo.Dataset, run_name: str) -> None:
    """Saved views to go through a review with, the worst photos first."""
    for name, view in _review_views(samples):
        samples.save_view(name, view, description=run_name, overwrite=True)


def _review_views(samples: fo.Dataset) -> Iterator[tuple[str, fo.DatasetView]]:
    reviewed = samples.exists("pq")
    worst_first = reviewed.sort_by("pq")
    errors = worst_first
    for path in TRUE_SEGMENTS:
        errors = errors.filter_labels(path, F("outcome") == "missed", only_matches=False)
    for path in PREDICTED_SEGMENTS:
        errors = errors.filter_labels(path, F("outcome") == "false", only_matches=False)
    yield "reviewed", reviewed
    yield "worst first", worst_first
    yield "errors only", errors
    yield "with missed", reviewed.match(F("missed") > 0).sort_by("missed", reverse=True)
    yield "with false", reviewed.match(F("false") > 0).sort_by("false", reverse=True)


def _sidebar_groups(samples: fo.Dataset) -> list[fo.SidebarGroupDocument]:
    """FiftyOne's own groups after ours, which take what they name."""
    schema = {*samples.get_field_schema(), "_label_tags"}
    ours = [
        fo.SidebarGroupDocument(name=name, paths=[p for p in paths if p in schema], expanded=True)
        for name, paths in GROUPS.items()
    ]
    taken = {path for group in ours for path in group.paths}
    rest = [
        fo.SidebarGroupDocument(
            name=group.name, paths=[p for p in group.paths if p not in taken], expanded=False
        )
        for group in fo.DatasetAppConfig.default_sidebar_groups(samples)
        if group.name not in GROUPS
    ]
    return [group for group in ours if group.paths] + rest


def _by_label(path: str, categories: Sequence[Category]) -> dict[str, Any]:
    colors = [{"value": c.name, "color": _hex(c)} for c in categories]
    return {"path": path, "colorByAttribute": "label", "valueColors": colors}


def _by_outcome(path: str) -> dict[str, Any]:
    colors = [{"value": name, "color": color} for name, color in OUTCOME_COLORS.items()]
    colors.append({"value": "None", "color": UNREVIEWED_COLOR})
    return {"path": path, "colorByAttribute": "outcome", "valueColors": colors}


def _hex(category: Category) -> str:
    return "#{:02x}{:02x}{:02x}".format(*category.color)
