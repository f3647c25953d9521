"""The cells that start Orch in a notebook, as text: made of the templates in `cells/`, which are written to be read."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: Any) -> str:
    """The text of a cell.  A value that stands in its code is quoted there by the filter `literal`."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("orchestrator.worker_package", "cells"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,
    )
    # Every value was checked against its pattern, and is quoted all the same: what is pasted runs before anything else.
    environment.filters["literal"] = repr
    return environment
