"""What every row weighs, counted four ways: parameters, weights, file, compressed file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from orchestrator.report import theme, wording
from orchestrator.report.charts import style
from orchestrator.report.charts.chart import Chart, Spec, Table
from orchestrator.report.rows import Bench
from orchestrator.report.summaries import Summary
from orchestrator.report.tradeoffs import is_drawable

_TICK = "M-0.2,-1H0.2V1H-0.2Z"
_WAYS: Mapping[str, tuple[Callable[[Summary], float | None], str]] = {
    "parameters as float32": (lambda each: each.parameters_bytes, _TICK),
    "weights alone": (lambda each: each.weights_bytes, "circle"),
    "file": (lambda each: each.file_bytes, "square"),
    "compressed": (lambda each: each.compressed_bytes, "triangle-left"),
}
"""How bytes are counted, with the shape of its mark."""


def sizes(number: str, bench: Bench, summaries: Sequence[Summary], colours: Mapping[str, str]) -> Chart | None:
    """None where nothing was weighed."""
    weighed = [(each, _counted(each)) for each in summaries]
    weighed = [(each, ways) for each, ways in weighed if ways]
    # Parameters alone are a count and no weight: nothing is shipped here.
    if not any(set(ways) - {"parameters as float32"} for _, ways in weighed):
        return None
    domain = style.log_span([count for _, ways in weighed for count in ways.values()])
    used = [way for way in _WAYS if any(way in ways for _, ways in weighed)]
    names = style.names_width(each.method for each, _ in weighed)
    panels = [
        _panel(model, [line for each, ways in lines for line in _lines(each, ways)], colours, domain, used, names)
        for model, lines in groupby(weighed, key=lambda pair: pair[0].model)
    ]
    axis = panels[-1]["layer"][1]["encoding"]["x"]["axis"]
    axis.update(labels=True, title="Bytes, logarithmic")
    style.filter_by("way", panels[0]["layer"][1])
    smallest, ways = min(weighed, key=lambda pair: min(pair[1].values()))
    return Chart(
        kind="bytes",
        name=f"bytes{number}",
        title="What every network weighs, counted four ways",
        description=f"{wording.counted(len(weighed), 'network')}; the smallest is {smallest.name}: "
        + ", ".join(f"{way} {wording.size(count)}" for way, count in ways.items())
        + ".",
        spec=style.document({"vconcat": panels}),
        table=_table(weighed),
        bench=bench,
        note="Only the file and the compressed file are shipped. Parameters are counted as float32, whatever the file "
        "has of them; no count holds optimizer state.",
    )


def weighs(summaries: Sequence[Summary]) -> tuple[object, ...]:
    """What the chart shows, to tell whether two benches would show the same."""
    return tuple((each.model, each.method, tuple(_counted(each).items())) for each in summaries)


def _counted(summary: Summary) -> dict[str, float]:
    counts = ((way, count(summary)) for way, (count, _) in _WAYS.items())
    return {way: bytes_ for way, bytes_ in counts if bytes_ and is_drawable(bytes_)}


def _lines(summary: Summary, ways: Mapping[str, float]) -> list[Spec]:
    """A line of the list: one mark for each way of counting."""
    return [
        {
            "model": summary.model,
            "method": summary.method,
            "way": way,
            "bytes": count,
            "said": wording.size(count) + (f" ({summary.compression})" if way == "compressed" else ""),
        }
        for way, count in ways.items()
    ]


def _panel(
    model: str,
    lines: Sequence[Spec],
    colours: Mapping[str, str],
    domain: tuple[float, float],
    used: Sequence[str],
    names: int,
) -> Spec:
    y = style.line_of("method", names)
    x: Spec = {"scale": {"type": "log", "domain": domain, "nice": False}}
    legend = {"symbolFillColor": theme.QUIET.light, "symbolStrokeWidth": 0, "columns": 2}
    shapes = {"domain": list(used), "range": [_WAYS[way][1] for way in used]}
    return {
        "title": style.heading(model, colours[model]),
        "data": style.values(lines),
        "width": style.WIDTH - names - 16,
        "height": {"step": style.ROW},
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 1.2, "color": colours[model], "opacity": 0.4},
                "encoding": {
                    "y": y,
                    "x": style.quantity("bytes", **x),
                    "detail": {"field": "method"},
                    "order": {"field": "bytes"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
                "encoding": {
                    "y": y,
                    "x": style.quantity("bytes", axis=style.bytes_axis(None, *domain, labels=False), **x),
                    "color": style.model_colour(colours),
                    "shape": {"field": "way", "type": "nominal", "scale": shapes, "legend": legend},
                    "opacity": style.filtered(),
                    "tooltip": style.hover(model="Model", method="Method", way="Counted", said="Bytes"),
                },
            },
        ],
    }


def _table(weighed: Sequence[tuple[Summary, Mapping[str, float]]]) -> Table:
    return Table(
        ("Model", "Method", *(way.capitalize() for way in _WAYS), "Compressed with"),
        tuple(
            (
                each.model,
                each.method,
                *(wording.size(ways.get(way)) for way in _WAYS),
                each.compression or wording.MISSING,
            )
            for each, ways in weighed
        ),
    )
