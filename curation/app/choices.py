"""What the user has changed in the look of a data set in the App since this project set it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import fiftyone as fo

Look = dict[str, Any]  # colours, active fields and groups of the sidebar, as plain values


def current_look(samples: fo.Dataset) -> Look:
    """Return the look of a data set, without fields that no longer exist."""
    config, schema = samples.app_config, samples.get_field_schema(flat=True)
    colors = config.color_scheme.to_dict() if config.color_scheme else {}
    colors = {key: value for key, value in colors.items() if key not in ("id", "_id")}
    colors["fields"] = [one for one in colors.get("fields") or () if one.get("path") in schema]
    return {
        "colors": colors,
        "active": list(config.active_fields.paths) if config.active_fields else [],
        "groups": [[group.name, list(group.paths)] for group in config.sidebar_groups or ()],
    }


def changed_parts(now: Look, before: Mapping[str, Any]) -> set[str]:
    """Return the parts of a look that differ from `before`, in which None is what always differs.

    Paths that only `before` has do not count: FiftyOne removes them with their fields.
    """
    return {part for part in now if _rest(before.get(part), now[part]) != now[part]}


def _rest(before: Any, now: Any) -> Any:
    """Return a part without the fields that it does not have now."""
    if isinstance(before, dict):
        paths = [one["path"] for one in now["fields"]]
        kept = [one for one in before["fields"] if one["path"] in paths]
        return {**before, "fields": kept}
    if before and isinstance(before[0], list):
        shown = {path for _, paths in now for path in paths}
        return [[name, [path for path in paths if path in shown]] for name, paths in before]
    return None if before is None else [path for path in before if path in now]


def add_colors(scheme: fo.ColorScheme, fields: Iterable[Mapping[str, Any]]) -> None:
    """Add the colours of fields for which a scheme has none."""
    present = list(scheme.fields or ())
    paths = {one.get("path") for one in present}
    scheme.fields = [*present, *(dict(one) for one in fields if one["path"] not in paths)]


def add_groups(
    groups: Sequence[fo.SidebarGroupDocument], ours: Sequence[fo.SidebarGroupDocument]
) -> list[fo.SidebarGroupDocument]:
    """Return the groups with the paths of `ours` that they lack, in the group of that name."""
    present = {path for group in groups for path in group.paths}
    by_name = {group.name: group for group in groups}
    found = list(groups)
    for group in ours:
        if missing := [path for path in group.paths if path not in present]:
            if group.name in by_name:
                by_name[group.name].paths = [*by_name[group.name].paths, *missing]
            else:
                group.paths = missing
                found.append(group)
    return found
