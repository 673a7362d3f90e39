"""A plugin of FiftyOne's App: kinds of errors with their prices, and a button to relabel."""

# FiftyOne's server imports this folder by itself, so it uses nothing else of this project. The
# review stores the kinds in the data set as `info["errors"]`, and a saved view for each of them.

from __future__ import annotations

from typing import Any

import fiftyone.operators as foo
import fiftyone.operators.types as types

TAG = "relabel"


class ErrorsPanel(foo.Panel):  # type: ignore[misc]
    """A button for each kind of error, the most expensive first; it shows these segments."""

    @property
    def config(self) -> foo.PanelConfig:
        return foo.PanelConfig(name="errors", label="Errors", icon="rule", surfaces="grid")

    def show(self, ctx: Any) -> None:
        """Show the saved view whose name is a parameter of the button."""
        ctx.ops.set_view(name=ctx.params["view"])

    def render(self, ctx: Any) -> types.Property:
        """Draw the PQ of the run and the buttons."""
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
        return types.Property(panel)


TEXT = "Points of PQ that each kind of error costs, and the number of errors. Click to see them."


class SendToLabelme(foo.Operator):  # type: ignore[misc]
    """Tag the selected photos, or else those of the current view, to be annotated again."""

    @property
    def config(self) -> foo.OperatorConfig:
        return foo.OperatorConfig(name="send_to_labelme", label="Send to Labelme", icon="edit")

    def execute(self, ctx: Any) -> None:
        """Add the tag and say what to run next."""
        view = ctx.dataset.select(ctx.selected) if ctx.selected else ctx.view
        view.tag_samples(TAG)
        ctx.ops.reload_dataset()
        ctx.ops.notify(
            f"Photos tagged '{TAG}': {len(view)}. Now run `pipeline.py decide DATASET`",
            variant="success",
        )

    def resolve_placement(self, ctx: Any) -> types.Placement:
        """Put a button above the grid."""
        button = types.Button(label=self.config.label, icon=self.config.icon, prompt=False)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)


def register(plugin: Any) -> None:
    """Register the panel and the operator; FiftyOne calls this."""
    plugin.register(ErrorsPanel)
    plugin.register(SendToLabelme)
