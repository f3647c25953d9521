"""How every chart looks: type, lines and sizes, and the parts of specifications that charts share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchestrator.report import theme
from orchestrator.report.charts.chart import Spec

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
"""vl-convert brings the first, so that pictures are the same on every machine; the others have its widths."""

WIDTH = 470
"""Pixels of a whole chart that stands in a column; its type is still legible on a telephone 400 pixels wide."""
WIDE = 940
"""Pixels of one that takes the page's width."""
_NAMES = 150
"""Pixels that the names of rows may take; longer ones are cut, and whole in the table and on hovering."""
_LETTER = 6.6
"""Pixels of a letter in the middle; a name that is wider still is cut."""
ROW = 20
"""Pixels from one line of a list to the next."""
FAINT = 0.12
"""Opacity of what the reader has filtered out."""

CROSS = "M-1,-0.6L-0.6,-1L0,-0.4L0.6,-1L1,-0.6L0.4,0L1,0.6L0.6,1L0,0.4L-0.6,1L-1,0.6L-0.4,0Z"
"""The mark of a death."""

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"

_CONFIG: Spec = {
    "font": FONT,
    "background": theme.GROUND.light,
    # The chart is one picture with one description; a thousand marks that are read aloud one by one help nobody.
    "mark": {"aria": False},
    "view": {"stroke": None},
    "axis": {
        "aria": False,
        "domain": False,
        "ticks": False,
        "gridColor": theme.RULE.light,
        "gridWidth": 1,
        "labelColor": theme.QUIET.light,
        "labelFontSize": 12,
        "labelPadding": 6,
        "titleColor": theme.QUIET.light,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    "legend": {
        "aria": False,
        "orient": "top",
        "direction": "horizontal",
        "title": None,
        "offset": 10,
        "padding": 0,
        "columnPadding": 14,
        "rowPadding": 3,
        "labelColor": theme.INK.light,
        "labelFontSize": 12,
        "labelLimit": 190,
        "symbolSize": 70,
        "symbolStrokeWidth": 1.5,
        "layout": {"top": {"direction": "vertical", "anchor": "start", "margin": 6}},
    },
    "title": {
        "aria": False,
        "anchor": "start",
        "frame": "bounds",
        "color": theme.INK.light,
        "fontSize": 13,
        "fontWeight": "bold",
        "limit": 440,
        "offset": 4,
        "subtitleColor": theme.QUIET.light,
        "subtitleFontSize": 12,
        "subtitlePadding": 4,
    },
    "concat": {"spacing": 12},
    "text": {"color": theme.INK.light, "fontSize": 12},
}


def document(body: Mapping[str, Any]) -> Spec:
    """A whole specification around the views of `body`."""
    return {"$schema": _SCHEMA, "config": _CONFIG, "padding": 4, **body}


def values(rows: Sequence[Mapping[str, Any]]) -> Spec:
    return {"values": [dict(row) for row in rows]}


def short(number: float) -> float:
    """Six significant digits: more than a pixel can show, and a third of the characters."""
    return float(f"{number:.6g}")


def quantity(field: str, **more: Any) -> Spec:
    return {"field": field, "type": "quantitative", **more}


def names_width(names: Iterable[str], most: int = _NAMES) -> int:
    """Pixels that the names of a list's lines take, their distance from the lines included."""
    return 8 + min(most, math.ceil(6 + _LETTER * max(map(len, names))))


def line_of(field: str, width: int, **more: Any) -> Spec:
    """The lines of a list, in the order of the data.

    Args:
        width: of `names_width`, the same in every panel of a chart: they stand in line.
    """
    axis = {"labelLimit": width - 8, "minExtent": width, "maxExtent": width, "labelColor": theme.INK.light}
    return {"field": field, "type": "nominal", "sort": None, "axis": {"title": None, "grid": False, **axis}, **more}


def slanted_axis(most: int) -> Spec:
    """The axis with the names of a matrix's columns, above it; of a name `most` pixels are shown."""
    slant = {"orient": "top", "labelAngle": -45, "labelAlign": "left", "labelBaseline": "middle"}
    return {"title": None, "labelLimit": most, "labelColor": theme.INK.light, **slant}


def heading(text: str, colour: str) -> Spec:
    """A model's name over its panel, in its colour."""
    return {"text": text, "color": colour}


def hover(**titles: str) -> list[Spec]:
    """What is told of the mark under the pointer: fields of text, and what they are called."""
    return [{"field": field, "type": "nominal", "title": title} for field, title in titles.items()]


def colour_scale(colours: Mapping[str, str]) -> Spec:
    return {"domain": list(colours), "range": list(colours.values())}


def model_colour(colours: Mapping[str, str]) -> Spec:
    """The colour of a mark by its model, where headings name the models."""
    return {"field": "model", "type": "nominal", "scale": colour_scale(colours), "legend": None}


def filtered(opacity: float = 1.0) -> Spec:
    """Opacity of what a click into a legend leaves out."""
    return {"condition": {"param": "shown", "value": opacity}, "value": FAINT * opacity}


def filter_by(field: str, layer: Spec) -> None:
    """Give `layer`, which has a legend of `field`, the parameter of `filtered`; one layer of a chart has it for all."""
    # Each click adds an entry to what is shown, or takes it away again; where nothing is chosen all is shown.
    select = {"type": "point", "fields": [field], "toggle": "true"}
    layer["params"] = [{"name": "shown", "select": select, "bind": "legend"}]


def span(numbers: Sequence[float], margin: float, least: float = 0.0) -> tuple[float, float]:
    """The ends of an axis: those of `numbers` and `margin` of their distance beyond, at least `least` from another."""
    low, high = min(numbers), max(numbers)
    beyond = max((high - low) * margin, (least - (high - low)) / 2, 1e-9)
    return low - beyond, high + beyond


def log_span(numbers: Sequence[float]) -> tuple[float, float]:
    """The ends of a logarithmic axis, with room for a mark on either side."""
    low, high = min(numbers), max(numbers)
    room = max((high / low) ** 0.06, 1.15)
    return low / room, high * room


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers on a logarithmic axis, three to nine of them."""
    # Within one power of ten, 1-2-5 could leave a single label; over several, too many.
    ratio = high / low
    steps = (1, 1.5, 2, 3, 5, 7) if ratio < 10 else (1, 2, 5) if ratio < 200 else (1,)
    first = 0
    while 10.0**first > low:
        first -= 1
    while 10.0 ** (first + 1) <= low:
        first += 1
    ticks: list[float] = []
    power = first
    while 10.0**power <= high:
        # `1.5 * 10**6` is exact where `10.0**6 * 1.5` may not be; below one the nearest decimal is taken.
        ticks += [tick for step in steps if low <= (tick := float(f"{step}e{power}")) <= high]
        power += 1
    return ticks if len(ticks) <= 9 else ticks[:: -(-len(ticks) // 9)]


def bytes_axis(title: str | None, low: float, high: float, **more: Any) -> Spec:
    label = (
        "datum.value >= 1e9 ? format(datum.value / 1e9, '~g') + ' GB' : "
        "datum.value >= 1e6 ? format(datum.value / 1e6, '~g') + ' MB' : "
        "datum.value >= 1e3 ? format(datum.value / 1e3, '~g') + ' kB' : format(datum.value, '~g') + ' B'"
    )
    return {"title": title, "values": log_ticks(low, high), "labelExpr": label, "grid": True, **more}
