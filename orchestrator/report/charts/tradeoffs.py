"""What accuracy costs in bytes and in time: every row of a bench as a mark, and the Pareto front named beneath.

The points and the front are `orchestrator.report.tradeoffs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from models.compression import methods
from orchestrator.report import theme, wording
from orchestrator.report.charts import style
from orchestrator.report.charts.chart import Chart, Spec, Table
from orchestrator.report.rows import REFERENCE, Bench
from orchestrator.report.summaries import Summary
from orchestrator.report.tradeoffs import Point, against_latency, against_size, frontier, single_call

_HEIGHT = 300
_KEY_LINE = 18
_LEAST_SPAN = 2.0
"""Percentage points that a picture shows at least: else two rows that differ by one image look like night and day."""

_MARKS = 3
"""Which layer of the picture has the marks, and their legend."""

_RING = "M0,-1A1,1,0,1,1,0,1A1,1,0,1,1,0,-1ZM0,-0.55A0.55,0.55,0,1,0,0,0.55A0.55,0.55,0,1,0,0,-0.55Z"
_KINDS = {
    "as trained": "circle",
    "fewer bits": "square",
    "slimmed": "diamond",
    "pruned": "triangle-down",
    "clustered": "cross",
    "other": "triangle-right",
    "dense twin": _RING,
}
"""What was done to a network, by the shape of its mark; of several, what cuts most."""


@dataclass(frozen=True)
class _Cost:
    """What an axis is of."""

    kind: str
    title: str
    """Of the chart."""
    axis: str
    column: str
    written: Callable[[float], str]
    direction: str
    """What further left is."""


_SIZE = _Cost(
    "size",
    "Top-1 accuracy against the size of what is shipped",
    "Bytes that are shipped, logarithmic",
    "Shipped",
    wording.size,
    "smaller",
)


def size(number: str, bench: Bench, summaries: Sequence[Summary], colours: Mapping[str, str]) -> Chart | None:
    """None where no row has both an accuracy and a file."""
    return _chart(number, bench, against_size(summaries), colours, _SIZE)


def speed(number: str, bench: Bench, summaries: Sequence[Summary], colours: Mapping[str, str]) -> Chart | None:
    """None where no row has both an accuracy and a latency."""
    timing = single_call(summaries)
    if timing is None:
        return None
    cost = _Cost(
        "speed",
        f"Top-1 accuracy against the time of a call, {timing.label}",
        f"Median milliseconds of a call, {timing.label}, logarithmic",
        "Median of a call",
        lambda milliseconds: f"{wording.milliseconds(milliseconds)} ms",
        "quicker",
    )
    return _chart(number, bench, against_latency(summaries, timing.way), colours, cost)


def _chart(number: str, bench: Bench, points: Sequence[Point], colours: Mapping[str, str], cost: _Cost) -> Chart | None:
    if not points:
        return None
    front = frontier(points)
    places = {(point.model, point.method): place for place, point in enumerate(front, start=1)}
    rows = [_row(point, places.get((point.model, point.method)), cost) for point in points]
    here = {model: colours[model] for model in dict.fromkeys(point.model for point in points)}
    return Chart(
        kind=cost.kind,
        name=f"{cost.kind}{number}",
        title=cost.title,
        description=f"On {bench}. On the Pareto front: {'; '.join(_fact(each, cost) for each in front)}. "
        + _behind(len(points) - len(front)),
        spec=style.document({"vconcat": [_plot(rows, here, cost), _key(front, cost)], "spacing": 18}),
        table=_table(points, places, cost),
        bench=bench,
        note=f"Further up is more accurate, further left is {cost.direction}. The stepped line is the Pareto front: "
        "by the measured values, nothing that costs less is as accurate."
        + (
            " The upright line from a method ends at the accuracy of its dense twin, which was fine-tuned as long "
            "and not changed: its length is what the method itself cost or gained."
            if any(point.twin_top1 is not None for point in points)
            else ""
        ),
    )


def kind_of(point: Point) -> str:
    """What was done to it, as a key of `_KINDS`."""
    steps = point.method.split("+")
    if point.is_twin:
        return "dense twin"
    if point.method in (REFERENCE, "distil"):
        return "as trained"
    for kind, starts in (
        ("slimmed", ("slim",)),
        ("pruned", ("prune", "tfmot-prune")),
        ("clustered", ("cluster",)),
    ):
        if any(step.startswith(starts) for step in steps):
            return kind
    return "fewer bits" if any(methods.is_known(step) or step == "qat" for step in steps) else "other"


def _behind(count: int) -> str:
    if not count:
        return "Every row is on it."
    return f"{wording.counted(count, 'other row')} {'is' if count == 1 else 'are'} behind it."


def _fact(point: Point, cost: _Cost) -> str:
    return f"{point.name}, {cost.written(point.cost)}, {wording.percent(point.top1)}"


def _row(point: Point, place: int | None, cost: _Cost) -> Spec:
    return {
        "model": point.model,
        "method": point.method,
        "kind": kind_of(point),
        "cost": style.short(point.cost),
        "top1": style.short(100 * point.top1),
        "twin": None if point.twin_top1 is None else style.short(100 * point.twin_top1),
        "place": place,
        "cost_said": cost.written(point.cost),
        "top1_said": wording.percent(point.top1, 2),
        "twin_said": wording.percent(point.twin_top1, 2),
        "front": "no" if place is None else f"yes, number {place}",
    }


def _plot(rows: Sequence[Spec], colours: Mapping[str, str], cost: _Cost) -> Spec:
    low, high = style.log_span([row["cost"] for row in rows])
    heights = [row[field] for row in rows for field in ("top1", "twin") if row[field] is not None]
    x = style.quantity("cost", scale={"type": "log", "domain": [low, high], "nice": False}, axis=_axis(cost, low, high))
    scale = {"domain": style.span(heights, 0.08, _LEAST_SPAN), "nice": False, "zero": False}
    y = style.quantity("top1", scale=scale, axis={"title": "Top-1, %", "tickCount": 6})
    kinds = {kind: shape for kind, shape in _KINDS.items() if any(row["kind"] == kind for row in rows)}
    told = style.hover(
        model="Model", method="Method", top1_said="Top-1", twin_said="Its dense twin", cost_said=cost.column
    )
    plot: Spec = {
        "data": style.values(rows),
        "width": style.WIDTH - 46,
        "height": _HEIGHT,
        "encoding": {"x": x},
        "layer": [
            {
                "transform": [{"filter": "isValid(datum.place)"}],
                "mark": {
                    "type": "line",
                    "interpolate": "step-after",
                    "color": theme.QUIET.light,
                    "strokeWidth": 1.2,
                    "strokeDash": [4, 3],
                },
                "encoding": {"y": y},
            },
            {
                "transform": [{"filter": "isValid(datum.twin)"}],
                "mark": {"type": "rule", "color": theme.QUIET.light, "strokeWidth": 0.9},
                "encoding": {"y": style.quantity("top1"), "y2": {"field": "twin"}, "opacity": style.filtered()},
            },
            {
                "transform": [{"filter": "isValid(datum.twin)"}],
                "mark": {
                    "type": "tick",
                    "color": theme.QUIET.light,
                    "thickness": 1.3,
                    "size": 9,
                    "orient": "horizontal",
                },
                "encoding": {"y": style.quantity("twin"), "opacity": style.filtered()},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 62, "opacity": 1, "cursor": "default"},
                "encoding": {
                    "y": style.quantity("top1"),
                    "color": {
                        "field": "model",
                        "type": "nominal",
                        "scale": style.colour_scale(colours),
                        "legend": {"columns": 3 if len(colours) > 3 else len(colours), "symbolType": "circle"},
                    },
                    "shape": {
                        "field": "kind",
                        "type": "nominal",
                        "scale": {"domain": list(kinds), "range": list(kinds.values())},
                        "legend": None
                        if len(kinds) < 2
                        else {"symbolFillColor": theme.QUIET.light, "symbolStrokeWidth": 0, "columns": 5},
                    },
                    "opacity": style.filtered(),
                    "tooltip": [*told, *style.hover(front="On the front")],
                },
            },
            {
                "transform": [{"filter": "isValid(datum.place)"}],
                "mark": {"type": "text", "dx": -9, "dy": -9, "fontWeight": "bold"},
                "encoding": {"y": style.quantity("top1"), "text": {"field": "place", "type": "nominal"}},
            },
        ],
    }
    style.filter_by("model", plot["layer"][_MARKS])
    return plot


def _axis(cost: _Cost, low: float, high: float) -> Spec:
    if cost.kind == "size":
        return style.bytes_axis(cost.axis, low, high)
    return {"title": cost.axis, "values": style.log_ticks(low, high), "labelExpr": "format(datum.value, '~g')"}


def _key(front: Sequence[Point], cost: _Cost) -> Spec:
    """The rows of the front by number, from the cheapest to the most accurate."""
    lines = [
        {
            "line": place,
            "model": point.model,
            "method": point.method,
            "cost": cost.written(point.cost),
            "top1": wording.percent(point.top1),
        }
        for place, point in enumerate(front, start=1)
    ]
    y = {"field": "line", "type": "ordinal", "axis": None, "sort": None}

    def column(field: str, x: float, **mark: object) -> Spec:
        text = {"field": field, "type": "nominal"}
        return {"mark": {"type": "text", **mark}, "encoding": {"y": y, "x": {"value": x}, "text": text}}

    return {
        "title": {
            "text": "On the Pareto front, by number",
            "color": theme.QUIET.light,
            "fontWeight": "normal",
            "fontSize": 12,
        },
        "data": style.values(lines),
        "width": style.WIDTH - 46,
        "height": {"step": _KEY_LINE},
        "layer": [
            column("line", 8, align="right", fontWeight="bold"),
            column("model", 18, align="left", limit=148),
            column("method", 172, align="left", limit=124),
            column("cost", style.WIDTH - 110, align="right"),
            column("top1", style.WIDTH - 46, align="right"),
        ],
    }


def _table(points: Sequence[Point], places: Mapping[tuple[str, str], int], cost: _Cost) -> Table:
    def place(point: Point) -> str:
        number = places.get((point.model, point.method))
        return wording.MISSING if number is None else f"number {number}"

    return Table(
        ("Model", "Method", "Top-1", "Its dense twin", cost.column, "On the front"),
        tuple(
            (
                point.model,
                point.method,
                wording.percent(point.top1, 2),
                wording.percent(point.twin_top1, 2),
                cost.written(point.cost),
                place(point),
            )
            for point in points
        ),
    )
