"""A figure and its SVG: painted by matplotlib, described for those who do not see it, made to fit a page.

Loads matplotlib.  What the figures show is in `measured_figures` and `training_figures`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure as Canvas

from orchestrator.report import theme
from orchestrator.report.rows import Bench

WIDTH = 5.4
"""Inches; small enough that the type is still legible on a telephone 360 px wide."""

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


@dataclass(frozen=True)
class Figure:
    """A picture and what it shows, in words for those who do not see it."""

    name: str
    """File name without its ending, and prefix of the ids inside."""
    title: str
    description: str
    svg: str
    bench: Bench | None = None
    """Where its figures were measured; None if it is not about a benchmark."""

    @property
    def for_page(self) -> str:
        return _for_page(self.svg)


def make_figure(
    name: str,
    title: str,
    description: str,
    inches: tuple[float, float],
    paint: Callable[[Canvas], None],
    bench: Bench | None = None,
) -> Figure:
    """What `paint` puts on a canvas of `inches` (width, height)."""
    svg = _describe(_draw(*inches, paint), name, title, description)
    return Figure(name, title, description, svg, bench)


def _draw(width: float, height: float, paint: Callable[[Canvas], None]) -> str:
    """An SVG of `width` x `height` inches: same picture, same bytes, whatever the person's matplotlibrc."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(theme.MATPLOTLIB)
        canvas = Canvas(figsize=(width, height), layout="constrained")
        paint(canvas)
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg", metadata=_NO_METADATA)
    return buffer.getvalue()


def _describe(svg: str, name: str, title: str, description: str) -> str:
    """`svg` with a title and a description that a screen reader reads, and ids that begin with `name`."""
    for prefix, space in (("", _SVG), ("xlink", _XLINK)):
        ElementTree.register_namespace(prefix, space)
    root = ElementTree.fromstring(svg)
    _prefix_ids(root, name)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-description")
    said = (("title", "title", title), ("desc", "description", description))
    for position, (tag, role, text) in enumerate(said):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", id=f"{name}-{role}")
        element.text = text
        root.insert(position, element)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _for_page(svg: str) -> str:
    """`svg` to stand inside a page: it takes the page's colours, width and type."""
    root = ElementTree.fromstring(svg)
    for attribute in ("width", "height"):
        root.attrib.pop(attribute, None)
    for parent in list(root.iter()):
        # Matplotlib's style sheet would apply to the whole page.
        for child in [child for child in parent if child.tag == f"{{{_SVG}}}style"]:
            parent.remove(child)
    text = ElementTree.tostring(root, encoding="unicode")
    for colour in theme.PALETTE:
        text = text.replace(colour.light, colour.variable)
    return text


def _prefix_ids(root: ElementTree.Element, name: str) -> None:
    """Several figures stand in one page, and an id may stand there once."""
    for element in root.iter():
        for key, value in list(element.attrib.items()):
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif key in ("href", f"{{{_XLINK}}}href") and value.startswith("#"):
                element.set(key, f"#{name}-{value[1:]}")
            else:
                element.set(key, re.sub(r"url\(#", f"url(#{name}-", value))
