"""HTML pages made from Jinja templates."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2

from base.counting import counted


@cache
def read_template(path: Path) -> jinja2.Template:
    """Read a template once; it escapes all text inserted into it, so that names cannot add HTML.

    Templates can call `counted`.
    """
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(path.parent), autoescape=True)
    environment.globals["counted"] = counted
    return environment.get_template(path.name)
