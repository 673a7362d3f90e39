"""A plugin of FiftyOne's App: errors with their prices, photos to relabel, labels to correct."""

# FiftyOne's server imports this folder by itself, so it uses nothing else of this project. The
# review stores the kinds in the data set as `info["errors"]`, and a saved view for each of them.

from __future__ import annotations

import shlex
from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

TAG = "relabel"
THINGS = "ground_truth"  # the field of the segments whose labels can be corrected
DELETE = "(delete it)"  # instead of a label


class ErrorsPanel(foo.Panel):  # type: ignore[misc]
    """A button for each kind of error, the most expensive first, and one to send photos back."""

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(name="errors", label="Errors", icon="rule", surfaces="grid")

    def show(self, ctx: Any) -> None:
        """Show the saved view whose name is a parameter of the button."""
        ctx.ops.set_view(name=ctx.params["view"])

    def send_selected(self, ctx: Any) -> None:
        """Tag the selected photos to be annotated again."""
        send_to_labelme(ctx)

    def send_view(self, ctx: Any) -> None:
        """Tag the photos of the current view to be annotated again."""
        _tag(ctx, ctx.view)

    def render(self, ctx: Any) -> types.Property:
        """Draw the PQ of the run, the buttons, and what to do with the photos that are tagged."""
        panel = types.Object()
        errors = ctx.dataset.info.get("errors")
        if not errors:
            panel.md("No review is loaded: run `pipeline.py review RUN`.", name="none")
            return types.Property(panel)
        panel.md(f"**{errors['run']}: PQ {errors['pq']:.1f}** {TEXT}", name="head")
        for number, kind in enumerate(errors["kinds"]):
            label = f"{kind['kind']}: {kind['price']:.1f} points, {kind['number']}"
            panel.btn(
                f"kind_{number}", label=label, on_click=self.show, params={"view": kind["view"]}
            )
        panel.btn(
            "worst", label="worst photos", on_click=self.show, params={"view": errors["view"]}
        )
        panel.md("Annotate again, in Labelme:", name="send")
        panel.btn("selected", label="selected photos", icon=ICON, on_click=self.send_selected)
        panel.btn("view", label="all photos of this view", icon=ICON, on_click=self.send_view)
        tagged = ctx.dataset.count_sample_tags().get(TAG, 0)
        if tagged:
            panel.md(f"Tagged `{TAG}`: {tagged}. Next: `{_command(ctx)}`", name="tagged")
        for number, other in enumerate(errors.get("others", ())):
            text = f"Beside it, as `{other['field']}`: {other['run']}, PQ {other['pq']:.1f}"
            panel.md(text, name=f"other_{number}")
        if errors.get("others"):
            view = errors["disagree"]
            panel.btn("disagree", label=view, on_click=self.show, params={"view": view})
        return types.Property(panel)


TEXT = "Points of PQ that each kind of error costs, and the number of errors. Click to see them."
ICON = "edit"


def send_to_labelme(ctx: Any) -> None:
    """Tag the selected photos to be annotated again; without any, say so."""
    if ctx.selected:
        _tag(ctx, ctx.dataset.select(ctx.selected))
        ctx.ops.clear_selected_samples()
    else:
        ctx.ops.notify("No photo is selected: click the check boxes of photos", variant="warning")


def _tag(ctx: Any, photos: Any) -> None:
    """Tag photos and say what to run next."""
    photos.tag_samples(TAG)
    ctx.ops.reload_dataset()
    text = f"Photos tagged '{TAG}': {len(photos)}. Next: {_command(ctx)}"
    ctx.ops.notify(text, variant="success")


def _command(ctx: Any) -> str:
    return shlex.join(["pipeline.py", "decide", ctx.dataset.info.get("root", "DATASET")])


class SendToLabelme(foo.Operator):  # type: ignore[misc]
    """The button for selected photos, above the grid."""

    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(name="send_to_labelme", label="Send to Labelme", icon=ICON)

    def execute(self, ctx: Any) -> None:
        """Tag the selected photos to be annotated again."""
        send_to_labelme(ctx)

    def resolve_placement(self, ctx: Any) -> types.Placement:
        """Put a button above the grid."""
        button = types.Button(label=self.config.label, icon=self.config.icon, prompt=False)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)


class CorrectLabel(foo.Operator):  # type: ignore[misc]
    """The button above an open photo that changes the label of selected segments, or deletes them.

    It finds segments by their ids, so it does not matter which of them the view shows.
    """

    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(name="correct_label", label="Correct label", icon="spellcheck")

    def resolve_input(self, ctx: Any) -> types.Property:
        """Ask for the label."""
        form = types.Object()
        number = sum(len(ids) for ids in selected_things(ctx).values())
        if number:
            labels = [*ctx.dataset.info.get("labels", ()), DELETE]
            form.enum("label", labels, label=f"Label of {number} selected", required=True)
        else:
            what = f"No segment of {THINGS} is selected: click on segments of the photo"
            form.view("none", types.Warning(label=what), invalid=True)
        return types.Property(form, view=types.View(label=self.config.label))

    def execute(self, ctx: Any) -> None:
        """Change the selected segments, and say what to run next."""
        label = ctx.params["label"]
        for photo, ids in selected_things(ctx).items():
            sample = ctx.dataset[photo]
            segments = sample[THINGS].detections
            if label == DELETE:
                sample[THINGS].detections = [one for one in segments if one.id not in ids]
            else:
                for segment in segments:
                    segment.label = label if segment.id in ids else segment.label
            sample.save()
        ctx.ops.clear_selected_labels()
        ctx.ops.reload_dataset()
        ctx.ops.notify(f"Corrected. Next: {_command(ctx)}", variant="success")

    def resolve_placement(self, ctx: Any) -> types.Placement:
        """Put a button above an open photo."""
        button = types.Button(label=self.config.label, icon=self.config.icon, prompt=True)
        return types.Placement(types.Places.SAMPLES_VIEWER_ACTIONS, button)


def selected_things(ctx: Any) -> dict[str, set[str]]:
    """Return the ids of the selected segments whose label can be corrected, by id of the photo."""
    found: dict[str, set[str]] = {}
    for one in ctx.selected_labels or ():
        if one["field"] == THINGS:
            found.setdefault(one["sample_id"], set()).add(one["label_id"])
    return found


def register(plugin: Any) -> None:
    """Register the panel and the operators; FiftyOne calls this."""
    plugin.register(ErrorsPanel)
    plugin.register(SendToLabelme)
    plugin.register(CorrectLabel)
