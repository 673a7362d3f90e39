"""HTML pages made from Jinja templates."""

from __future__ import annotations

from pathlib import Path

import jinja2

from base.counting import counted


def read_template(path: Path) -> jinja2.Template:
    """Read a template that escapes all text inserted into it, so that names cannot add HTML.

    Templates can call `counted`.
    """
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(path.parent), autoescape=True)
    environment.globals["counted"] = counted
    return environment.get_template(path.name)
