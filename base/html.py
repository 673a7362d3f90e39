"""HTML pages made from Jinja templates."""

from __future__ import annotations

from pathlib import Path

import jinja2


def read_template(path: Path) -> jinja2.Template:
    """Read a template that escapes all text inserted into it, so that names cannot add HTML."""
    loader = jinja2.FileSystemLoader(path.parent)
    return jinja2.Environment(loader=loader, autoescape=True).get_template(path.name)
