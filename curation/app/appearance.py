"""How a data set looks in FiftyOne's App: colours, visible fields and groups of the sidebar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fiftyone as fo

from base.files import digest
from conversion.coco.categories import Category
from curation.app.choices import add_colors, add_groups, changed_parts, current_look
from curation.app.fields import (
    CONFUSIONS,
    COUNTS,
    ERROR_KINDS,
    ERRORS_PANEL,
    EVALUATION_PANEL,
    FALSE_ALARM,
    HIT,
    IGNORED,
    MISSED,
    OTHERS,
    PHOTO_MAP,
    PREDICTED_SCENE,
    PREDICTED_SEGMENTS,
    PRICE,
    QUALITY,
    REPRESENTATIVENESS,
    SHARPNESS,
    SPLIT,
    SUSPECTS,
    SUSPICION,
    TRUE_SCENE,
    TRUE_SEGMENTS,
    UNIQUENESS,
)
from evaluation.label_errors.suspects import Kind

OUTCOME_COLORS = {HIT: "#2e9e3f", FALSE_ALARM: "#e0243c", MISSED: "#2f6bff", IGNORED: "#606060"}
OPACITY = 0.55  # the photo stays visible under a true and a predicted segment
UNREVIEWED_COLOR = "#b0b8c0"
SUSPECT_COLORS: dict[Kind, str] = {
    "missing": "#e01bd0",
    "swapped": "#ff8c00",
    "badly placed": "#ffd400",
}
GROUPS = {
    "tags": ["tags", "_label_tags"],
    "review": ["pq", PRICE, *COUNTS, ERROR_KINDS, CONFUSIONS],
    "ground truth": [*TRUE_SEGMENTS, TRUE_SCENE],
    "label errors": [SUSPICION, SUSPECTS],
    "prediction": [*PREDICTED_SEGMENTS, PREDICTED_SCENE],
    "other runs": [name for other in OTHERS for name in other.all],
    "photo": ["photo", SPLIT, "findings", QUALITY, SHARPNESS, UNIQUENESS, REPRESENTATIVENESS],
}
# Stuff is one click away: drawn at once, it would cover most of each photo.
ACTIVE = [TRUE_SEGMENTS[0], PREDICTED_SEGMENTS[0]]


def set_appearance(samples: fo.Dataset, categories: Sequence[Category]) -> None:
    """Colour true segments by category or, after a review, all segments by outcome.

    Suspects are coloured by kind.

    Does nothing if the same appearance was set before, because the user may have changed it in
    the App since. If fields of another run have to be added, colours, fields and groups that the
    user has changed are kept.
    """
    reviewed = samples.has_sample_field("pq")
    if reviewed:
        others = [path for other in OTHERS for path in other.segments]
        sides = (*TRUE_SEGMENTS, *PREDICTED_SEGMENTS, *others)
        fields = [_by_outcome(path) for path in sides if samples.has_sample_field(path)]
        active = ["pq", PRICE, *ACTIVE]
    else:
        fields = [_by_label(path, categories) for path in TRUE_SEGMENTS]
        active = ACTIVE[:1]
    if samples.has_sample_field(SUSPECTS):
        fields = [*fields, _by_kind(SUSPECTS)]
        active = [*active, SUSPICION, SUSPECTS]
    scenes = [{"intTarget": c.id, "color": _hex(c)} for c in categories]
    groups = _sidebar_groups(samples)
    ours = [(group.name, group.paths) for group in groups if group.name in GROUPS]
    look = digest(repr((fields, scenes, active, OPACITY, ours)))
    seen = samples.info.get("look")
    if not isinstance(seen, dict) or seen["reviewed"] != reviewed:
        seen = {}  # a first review colours by something else, and replaces all choices
    if seen.get("ours") == look:
        return
    chosen = changed_parts(current_look(samples), seen["parts"]) if seen else set()
    config = samples.app_config
    samples.default_mask_targets = {c.id: c.name for c in categories}
    if "colors" in chosen and config.color_scheme:
        add_colors(config.color_scheme, fields)
    else:
        config.color_scheme = fo.ColorScheme(
            color_by="value", opacity=OPACITY, fields=fields, default_mask_targets_colors=scenes
        )
    if "active" not in chosen:
        config.active_fields = fo.ActiveFields(paths=active)
    if "groups" in chosen:
        groups = add_groups(config.sidebar_groups, groups)
    config.sidebar_groups = groups
    parts = {name: None if name in chosen else part for name, part in current_look(samples).items()}
    samples.info = {**samples.info, "look": {"ours": look, "reviewed": reviewed, "parts": parts}}
    samples.save()


def workspace_of(samples: fo.Dataset) -> str:
    """Return the name of the workspace of a data set: that of its review, if it has one.

    FiftyOne finds the workspace that an address names in any data set, so each name must be unique.
    """
    return f"{'review' if samples.has_sample_field('pq') else 'curate'} {samples.name}"


def save_workspace(samples: fo.Dataset) -> None:
    """Save the workspace: photos beside the errors of a review, the map and histograms.

    Does nothing if it was saved before, because the user may have changed it.
    """
    name, reviewed = workspace_of(samples), samples.has_sample_field("pq")
    panels = [fo.Panel(type=ERRORS_PANEL)] if reviewed else []
    if PHOTO_MAP in samples.list_brain_runs():
        panels.append(fo.Panel(type="Embeddings"))
    if reviewed:
        panels.append(fo.Panel(type=EVALUATION_PANEL))
    path = f"{TRUE_SEGMENTS[0]}.detections.label"
    panels.append(fo.Panel(type="Histograms", state={"path": path}))
    what = [panel.type for panel in panels]
    if samples.has_workspace(name) and samples.info.get("workspaces", {}).get(name) == what:
        return
    photos = _tabs(fo.Panel(type="Samples", pinned=True))
    space = fo.Space(
        children=[photos, _tabs(*panels)], orientation="horizontal", sizes=[0.65, 0.35]
    )
    samples.save_workspace(name, space, description="photos beside panels", overwrite=True)
    saved = {**samples.info.get("workspaces", {}), name: what}
    samples.info = {**samples.info, "workspaces": saved}
    samples.save()


def _tabs(*panels: fo.Panel) -> fo.Space:
    """Return a space that shows the first of some panels."""
    return fo.Space(children=list(panels), active_child=panels[0].component_id)


def _sidebar_groups(samples: fo.Dataset) -> list[fo.SidebarGroupDocument]:
    """The groups of this project, then FiftyOne's own groups without the fields of the former."""
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


def _by_kind(path: str) -> dict[str, Any]:
    colors = [{"value": kind, "color": color} for kind, color in SUSPECT_COLORS.items()]
    return {"path": path, "colorByAttribute": "kind", "valueColors": colors}


def _hex(category: Category) -> str:
    return "#{:02x}{:02x}{:02x}".format(*category.color)
