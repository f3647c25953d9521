"""What the templates of `tables.html.j2` ask for: a table as text, a cell's mark, attributes that are there or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup

from orchestrator.report import table_formats
from orchestrator.report.table import Table, mark


def texts(table: Table) -> dict[str, str]:
    """The table in each format that it is copied in."""
    return {
        "Markdown": table_formats.markdown(table),
        "CSV": table_formats.to_csv(table),
        "LaTeX": table_formats.latex(table),
    }


def classes(wanted: Mapping[str, bool]) -> Markup:
    """The attribute `class`, with a space before it; nothing if no class is wanted."""
    names = " ".join(name for name, is_wanted in wanted.items() if is_wanted)
    return Markup(' class="{}"').format(names) if names else Markup("")


FILTERS: dict[str, Callable[..., Any]] = {"texts": texts, "classes": classes, "mark": mark}
