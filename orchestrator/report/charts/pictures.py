"""Charts as SVG and PNG, made by vl-convert without a browser, and the runtime that makes them interactive in one.

Importing this module does not load vl-convert; making something does.
"""

from __future__ import annotations

import json
import re
import threading
from functools import cache, lru_cache
from typing import Any
from xml.etree import ElementTree

from orchestrator.report import theme
from orchestrator.report.charts.chart import Chart

_VEGA_LITE = "6.4"
"""One version for pictures and page: the same specification gives the same marks."""
_PIXELS = 2
"""Of a PNG for each pixel of the SVG."""
_SVG = "http://www.w3.org/2000/svg"
_LEFT_OUT = frozenset({"aria-hidden", "class", "font-family", "pointer-events"})
"""Attributes that a picture in a page does without: the page says its font, and what is read aloud is its title."""
_LONG = re.compile(r"\d+\.\d{3,}")
_alone = threading.Lock()
"""vl-convert has one converter behind a lock, for which some of its functions wait with Python's own lock in their
hands: two threads in it, as of a report or of a live page, wait for each other for ever."""


def svg(chart: Chart) -> str:
    """The chart as a file that stands alone, with its title and description for those who do not see it.

    The same chart gives the same bytes, on every machine: vl-convert brings its font.
    """
    root = ElementTree.fromstring(_drawn(json.dumps(chart.spec)))
    _describe(root, chart)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def svg_for_page(chart: Chart) -> str:
    """The same to stand inside a page: in the page's colours, light and dark, and half as long."""
    root = ElementTree.fromstring(svg(chart))
    for element in root.iter():
        for child in [each for each in element if each.get("display") == "none"]:
            element.remove(child)
        if element is not root:
            element.attrib = {name: _shortened(value) for name, value in element.items() if name not in _LEFT_OUT}
        for name in ("fill", "stroke"):
            if (colour := element.get(name)) is not None:
                element.set(name, theme.on_page(colour))
    return ElementTree.tostring(root, encoding="unicode")


def spec_for_page(chart: Chart) -> str:
    """The specification as JSON in the page's colours, to stand inside a `<script>`: without a `<` of its own."""
    spec = {key: value for key, value in chart.spec.items() if key != "$schema"}
    spec = {"description": f"{chart.title}. {chart.description}", **_on_page(spec)}
    text = json.dumps(spec, ensure_ascii=True, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def png(chart: Chart) -> bytes:
    """The chart as pixels, twice as many as the SVG has."""
    import vl_convert

    picture = _drawn(json.dumps(chart.spec))
    with _alone:
        drawn: bytes = vl_convert.svg_to_png(picture, scale=_PIXELS)
    return drawn


@cache
def runtime() -> str:
    """JavaScript that defines `vegaEmbed`, with Vega and Vega-Lite, and the interpreter that needs no `eval`."""
    import vl_convert

    with _alone:
        bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=_VEGA_LITE)
    return bundle


@lru_cache(maxsize=128)
def _drawn(spec: str) -> str:
    """Kept, because a report writes each picture twice and a live page draws most of them again and again."""
    import vl_convert

    ElementTree.register_namespace("", _SVG)
    with _alone:
        drawn: str = vl_convert.vegalite_to_svg(spec, vl_version=_VEGA_LITE, allowed_base_urls=[])
    return drawn


def _on_page(part: Any) -> Any:
    """A part of a specification with the page's colours; its data are left as they are."""
    if isinstance(part, dict):
        return {key: value if key == "values" else _on_page(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_on_page(each) for each in part]
    return theme.on_page(part) if isinstance(part, str) else part


def _shortened(value: str) -> str:
    """Hundredths of a pixel are seen by nobody."""
    return _LONG.sub(lambda found: f"{float(found.group()):.2f}".rstrip("0").rstrip("."), value)


def _describe(root: ElementTree.Element, chart: Chart) -> None:
    """Ids begin with the chart's name: several charts stand in one page."""
    root.set("role", "img")
    root.set("aria-labelledby", f"{chart.name}-title {chart.name}-description")
    said = (("title", "title", chart.title), ("desc", "description", chart.description))
    for position, (tag, role, text) in enumerate(said):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", id=f"{chart.name}-{role}")
        element.text = text
        root.insert(position, element)
