"""A chart as plain data: a Vega-Lite specification, and what it shows in words and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.report.rows import Bench

Spec = dict[str, Any]
"""A Vega-Lite specification, or a part of one: what JSON can say."""


@dataclass(frozen=True)
class Table:
    """The figures of a chart, written as a person reads them; the first column says what a row is about."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0
    """How many rows there would be besides, if a page could hold them."""


@dataclass(frozen=True)
class Chart:
    """A picture, and what it shows for those who do not see it."""

    kind: str
    """Which chart it is, whatever the study: `accuracy`, `size`, ..."""
    name: str
    """The kind, numbered where there are several: its file without the ending, and the prefix of its ids."""
    title: str
    description: str
    """What it shows, in sentences with the figures that matter."""
    spec: Mapping[str, Any]
    """A whole Vega-Lite specification with its data, in the light palette."""
    table: Table
    bench: Bench | None = None
    """Where its figures were measured; None if it is not about a benchmark."""
    note: str = ""
    """How to read it, in a sentence or two."""
    wide: bool = False
    """Whether it needs the page's whole width."""
