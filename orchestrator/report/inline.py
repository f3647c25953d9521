"""A page shown inside a notebook, in a frame of its own: neither one's styles and scripts reach the other."""

from __future__ import annotations

from html import escape

from orchestrator.report.charts import draw_charts
from orchestrator.report.page import render
from orchestrator.report.results import Results

HEIGHT = 720
"""Pixels; a frame scrolls by itself."""


def report(results: Results) -> str:
    """The report's page, as a notebook shows it."""
    return frame(render(results, draw_charts(results)))


def frame(whole: str, height: int = HEIGHT) -> str:
    """A whole page as a part of another, `height` pixels high."""
    style = f"width:100%;height:{height}px;border:0"
    return f'<iframe sandbox="allow-scripts" title="Orch" style="{style}" srcdoc="{escape(whole)}"></iframe>'
